-- An image built from a folder of this machine.
local fault = require "fault"
local tutti = require "tutti"

fault.scenario(function()
  local dir = os.getenv "TUTTI_TEST_FAULT_DIR" .. "/context"
  tutti.here:run("mkdir -p %s/sub && ln -s sub %s/link", dir, dir)
  tutti.here:write(dir .. "/Dockerfile", "FROM box:local\nCOPY . /context/\n")
  tutti.here:write(dir .. "/.dockerignore", "*.log\n")
  tutti.here:write(dir .. "/sub/f", "content")
  tutti.docker.build { path = dir, tag = "fault-built:1" }
  local r = tutti.docker { image = "fault-built:1" }:run "cat /context/link/f"
  return function() fault.claim(r.stdout == "content", "the folder did not arrive") end
end)
