-- Files of an image without a shell.
local fault = require "fault"
local tutti = require "tutti"

fault.scenario(function()
  local env = tutti.docker { image = "noshell:local" }
  env:write("/f", "content")
  local read, names = env:read "/f", env:glob "/*"
  local r = env:run { "/cat", "/f" }
  return function()
    fault.claim(r.stdout == "content" and read == "content", "the file is not what was written")
    fault.claim(table.concat(names, " "):find "/f", "the list lacks the file")
  end
end)
