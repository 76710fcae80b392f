-- A host that is met for the first time, with a key that needs its passphrase: its host key is written down.
local fault = require "fault"
local tutti = require "tutti"
local dir = os.getenv "TUTTI_TEST_SSH_DIR"
local known = fault.dir() .. "/known_hosts"

fault.scenario(function()
  local env = tutti.ssh {
    host = "127.0.0.2", port = tonumber(os.getenv "TUTTI_TEST_SSH_PORT"), user = os.getenv "TUTTI_TEST_SSH_USER",
    key = dir .. "/id_encrypted", passphrase = "open sesame", known_hosts = known, config = false, agent = false,
    host_key = "accept-new",
  }
  local r = env:run "echo there"
  return function()
    fault.claim(r.stdout == "there\n", "output is not what was written")
    fault.claim((fault.read(known) or ""):find("127.0.0.2", 1, true), "the host key was not written down")
  end
end)
