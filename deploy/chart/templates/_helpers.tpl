{{- /*
The objects are those of the kustomizations beside the chart: files/ has their files, byte for byte, and templates change what values
ask for. Both would otherwise say everything twice.

sealant.read: the objects of a file in files/ as a list, in the release's namespace and with Helm's labels.
(list $ "base/rbac.yaml")
*/}}
{{- define "sealant.read" -}}
{{- $root := index . 0 }}
{{- $objects := list }}
{{- range $text := splitList "\n---\n" ($root.Files.Get (printf "files/%s" (index . 1))) }}
{{- $object := fromYaml $text }}
{{- if not $object.kind }}{{ fail (printf "files/%s cannot be read: %v" (index $ 1) $object) }}{{ end }}
{{- $metadata := $object.metadata }}
{{- $_ := set $metadata "labels" (merge $metadata.labels (include "sealant.labels" $root | fromYaml)) }}
{{- if eq (toString $metadata.namespace) "sealant-system" }}
{{- $_ := set $metadata "namespace" $root.Release.Namespace }}
{{- end }}
{{- range $object.subjects }}
{{- if .namespace }}{{ $_ := set . "namespace" $root.Release.Namespace }}{{ end }}
{{- end }}
{{- $objects = append $objects $object }}
{{- end }}
{{- toYaml $objects }}
{{- end }}

{{- define "sealant.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* sealant.print: a list of objects, as manifests. */}}
{{- define "sealant.print" -}}
{{- range . }}
---
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* sealant.rights: a file with a ClusterRole and its binding, or the same rights in each of `watchNamespaces`. */}}
{{- define "sealant.rights" -}}
{{- $root := index . 0 }}
{{- $suffix := index . 2 }}
{{- range $namespace := default (list "") $root.Values.watchNamespaces }}
{{- $objects := include "sealant.read" (list $root (index $ 1)) | fromYamlArray }}
{{- range $objects }}
{{- if $namespace }}
{{- $_ := set . "kind" (trimPrefix "Cluster" .kind) }}
{{- $_ := set .metadata "namespace" $namespace }}
{{- with .roleRef }}{{ $_ := set . "kind" "Role" }}{{ end }}
{{- else }}
{{- $name := print $root.Values.rbac.clusterRoleName $suffix }}
{{- $_ := set .metadata "name" $name }}
{{- with .roleRef }}{{ $_ := set . "name" $name }}{{ end }}
{{- end }}
{{- end }}
{{- include "sealant.print" $objects }}
{{- end }}
{{- end }}

{{- define "sealant.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
{{- end }}
{{- end }}

{{- /* Variables of the container, beside those that it always has: one for each flag. */}}
{{- define "sealant.env" -}}
{{- $env := list }}
{{- with .Values.watchNamespaces }}
{{- $env = append $env (dict "name" "SEALANT_WATCH_NAMESPACES" "value" (join "," .)) }}
{{- end }}
{{- range $name, $value := .Values.settings }}
{{- if kindIs "slice" $value }}{{ $value = join "," $value }}{{ end }}
{{- $env = append $env (dict "name" (printf "SEALANT_%s" (snakecase $name | upper)) "value" (toString $value)) }}
{{- end }}
{{- with .Values.vault.tokenAudience }}
{{- if $.Values.settings.vaultTokenFile }}{{ fail "vault.tokenAudience sets settings.vaultTokenFile by itself: use one of them" }}{{ end }}
{{- $env = append $env (dict "name" "SEALANT_VAULT_TOKEN_FILE" "value" "/var/run/secrets/vault/token") }}
{{- end }}
{{- with .Values.bitnami }}
{{- if .enabled }}
{{- $env = append $env (dict "name" "SEALANT_BITNAMI" "value" "true") }}
{{- if ne .keys.namespace "kube-system" }}
{{- $env = append $env (dict "name" "SEALANT_BITNAMI_KEY_NAMESPACE" "value" .keys.namespace) }}
{{- end }}
{{- if .http.enabled }}
{{- $env = append $env (dict "name" "SEALANT_BITNAMI_ADDRESS" "value" "0.0.0.0:8082") }}
{{- end }}
{{- if .keys.enabled }}
{{- $env = append $env (dict "name" "SEALANT_BITNAMI_KEY_RENEW_PERIOD" "value" .keys.renewPeriod) }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml (concat $env .Values.extraEnv) }}
{{- end }}
