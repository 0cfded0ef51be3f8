-- The health of a ModelAlias, ProviderTarget or AccessKey, for Argo CD: what its status says of this generation.
local hs = {status = "Progressing", message = "The controller has not looked at it yet"}
local status = obj.status
if status == nil or status.conditions == nil then
  return hs
end
if status.observedGeneration ~= obj.metadata.generation then
  return hs
end
local by_type = {}
for _, condition in ipairs(status.conditions) do
  by_type[condition.type] = condition
end
local ready = by_type["Ready"]
if ready == nil then
  return hs
end
local message = ready.message
if message == nil or message == "" then
  message = ready.reason
end
local stalled = by_type["Stalled"]
if ready.status == "True" then
  hs.status = "Healthy"
elseif ready.status == "False" and stalled ~= nil and stalled.status == "True" then
  hs.status = "Degraded"
end
hs.message = message
return hs
