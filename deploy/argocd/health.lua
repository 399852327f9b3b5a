-- The health of a ZenlayerPort for Argo CD: argocd-cm, key resource.customizations.health.sdn.zenlayer.com_ZenlayerPort.
local health = { status = "Progressing", message = "The operator has not looked at this object yet." }
if obj.status == nil or obj.status.conditions == nil then
  return health
end
local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  conditions[condition.type] = condition
end
local ready, stalled = conditions["Ready"], conditions["Stalled"]
if ready == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return health
end
health.message = ready.reason .. ": " .. (ready.message or "")
if stalled ~= nil and stalled.status == "True" then
  health.status = "Degraded"
elseif ready.status == "True" then
  health.status = "Healthy"
end
return health
