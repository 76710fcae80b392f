-- Logging in by an agent, and a port on the host that leads back here.
local fault = require "fault"
local tutti = require "tutti"
local dir, port, user = os.getenv "TUTTI_TEST_SSH_DIR", tonumber(os.getenv "TUTTI_TEST_SSH_PORT"),
  os.getenv "TUTTI_TEST_SSH_USER"
local here = tutti.here

fault.scenario(function()
  local socket = fault.dir() .. "/agent"
  local agent = here:spawn { "ssh-agent", "-D", "-a", socket }
  tutti.defer(function() agent:kill() agent:wait() end)
  for _ = 1, 200 do
    if here:stat(socket) then break end
    tutti.sleep "20ms"
  end
  here:run { "ssh-add", "-q", dir .. "/id_rsa", env = { SSH_AUTH_SOCK = socket } }
  local function env(options)
    options.user, options.config, options.known_hosts = user, false, options.known_hosts or dir .. "/known_hosts"
    options.connect_timeout = "20s"
    return tutti.ssh(options)
  end
  local first = env { host = "127.0.0.1", port = port, key = {}, agent = socket }
  local hello = first:run "echo hello"
  local tunnel = first:tunnel { to = port, reverse = true }
  local back = env { host = "127.0.0.1", port = tunnel.port, agent = socket,
    known_hosts = fault.dir() .. "/new", host_key = "accept-new" }:run "echo back"
  tunnel:close()
  return function()
    fault.claim(hello.stdout == "hello\n", "what the agent let in says nothing")
    fault.claim(back.stdout == "back\n", "the way back leads elsewhere")
  end
end)
