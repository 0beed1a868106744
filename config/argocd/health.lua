-- Copyright The Jackstaff Authors.
-- SPDX-License-Identifier: Apache-2.0

-- The health of an object of flags.jackstaff.dev for Argo CD. docs/gitops.md says where to put it.

-- What waits is no fault: for the operator, for workloads, or for somebody who publishes.
local waits = {Pending = "Progressing", Laggards = "Progressing", AwaitingPublish = "Suspended", Suspended = "Suspended"}

local health = {status = "Progressing", message = "the operator has not looked at it yet"}
if obj.metadata.deletionTimestamp ~= nil then
  health.message = "it is being deleted"
  return health
end
if obj.status == nil or obj.status.conditions == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return health
end
local isReady = false
for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "Ready" and condition.status == "True" then
    isReady = true
  end
end
if isReady then
  health = {status = "Healthy", message = "everything is as it should be"}
  if obj.kind == "FlagEnvironment" and obj.spec.publish.suspend then
    health = {status = "Suspended", message = "publishing is suspended"}
  end
  return health
end
for _, condition in ipairs(obj.status.conditions) do
  if condition.type ~= "Ready" and condition.status ~= "True" then
    health = {status = waits[condition.reason] or "Degraded", message = condition.message}
    if health.status == "Degraded" then
      return health
    end
  end
end
return health
