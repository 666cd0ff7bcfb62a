-- What Argo CD shows of a SealedSecret: the Secret's state, as the controller reports it for this very generation.
local annotations = obj.metadata.annotations or {}
if annotations["sealant.dev/suspend"] == "true" then
  return {status = "Suspended", message = "suspended by the annotation sealant.dev/suspend"}
end

local waiting = {status = "Progressing", message = "waiting for the controller to unseal it"}
local status = obj.status
if status == nil or status.conditions == nil then
  return waiting
end
-- What is said of an older generation may be wrong by now, good or bad.
if status.observedGeneration ~= obj.metadata.generation then
  return waiting
end

local conditions = {}
for _, condition in ipairs(status.conditions) do
  conditions[condition.type] = condition
end
local function holds(name)
  return conditions[name] ~= nil and conditions[name].status == "True"
end
local function said(name)
  local condition = conditions[name]
  return (condition.reason or name) .. ": " .. (condition.message or "")
end

-- A person has to do something.
if holds("Stalled") then
  return {status = "Degraded", message = said("Stalled")}
end
-- A server is away; it is tried again.
if holds("Reconciling") then
  return {status = "Progressing", message = said("Reconciling")}
end
if holds("Ready") then
  return {status = "Healthy", message = conditions["Ready"].message or ""}
end
if conditions["Ready"] ~= nil then
  return {status = "Degraded", message = said("Ready")}
end
return waiting
