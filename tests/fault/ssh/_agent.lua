-- See agent.
local fault = require "fault"
local tutti = require "tutti"

fault.scenario(function()
  local r = tutti.ssh {
    host = "127.0.0.1", port = tonumber(os.getenv "TUTTI_TEST_SSH_PORT"), user = os.getenv "TUTTI_TEST_SSH_USER",
    known_hosts = os.getenv "TUTTI_TEST_SSH_DIR" .. "/known_hosts", config = false,
  }:run "echo there"
  return function() fault.claim(r.stdout == "there\n", "output is not what was written") end
end)
