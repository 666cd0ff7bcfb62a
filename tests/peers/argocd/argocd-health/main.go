// Says what Argo CD makes of an object, by its own Lua interpreter: prints the health as JSON.
//
//	argocd-health SCRIPT <OBJECT.json
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/argoproj/argo-cd/v3/util/lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func main() {
	health, err := health(os.Args[1])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(health)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func health(file string) (any, error) {
	script, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	bytes, err := io.ReadAll(os.Stdin)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(bytes); err != nil {
		return nil, err
	}
	return lua.VM{}.ExecuteHealthLua(object, string(script))
}
