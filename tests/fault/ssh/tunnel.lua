-- Tunnels both ways, to the server's own banner.
local fault = require "fault"
local tutti = require "tutti"
local dir, port = os.getenv "TUTTI_TEST_SSH_DIR", tonumber(os.getenv "TUTTI_TEST_SSH_PORT")

local function banner(from)
  local r = tutti.here:try { "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/" .. from .. "; head -c 8 <&3", timeout = "5s" }
  return r.stdout
end

fault.scenario(function()
  local env = tutti.ssh {
    host = "127.0.0.1", port = port, user = os.getenv "TUTTI_TEST_SSH_USER", key = dir .. "/id_ed25519",
    known_hosts = dir .. "/known_hosts", config = false, agent = false, connect_timeout = "5s",
  }
  local got = {}
  for _, reverse in ipairs { false, true } do
    local tunnel = env:tunnel { to = port, reverse = reverse }
    got[#got + 1] = banner(tunnel.port)
    tunnel:close()
    got[#got + 1] = banner(tunnel.port)
  end
  return function()
    for i = 1, 4, 2 do
      fault.claim(got[i] == "" or got[i] == "SSH-2.0-", "a tunnel led elsewhere")
      fault.claim(got[i + 1] == "", "a closed tunnel leads somewhere")
    end
  end
end)
