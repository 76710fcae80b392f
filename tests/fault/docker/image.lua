-- A container of one's own: started when first used, removed at the end.
local fault = require "fault"
local tutti = require "tutti"

fault.scenario(function()
  local r = tutti.docker { image = "box:local" }:run "cat /etc/passwd"
  return function() fault.claim(r.stdout:find "^root:", "output is not what was written") end
end)
