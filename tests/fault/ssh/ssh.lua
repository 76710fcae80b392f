-- Commands and files over ssh: connecting, the agent, commands, streams, signals, files, a tunnel.
local fault = require "fault"
local tutti = require "tutti"
local dir, port, user = os.getenv "TUTTI_TEST_SSH_DIR", tonumber(os.getenv "TUTTI_TEST_SSH_PORT"),
  os.getenv "TUTTI_TEST_SSH_USER"

local function there(options)
  local all = { host = "127.0.0.1", port = port, user = user, key = dir .. "/id_ed25519",
    known_hosts = dir .. "/known_hosts",
    config = false, agent = false, connect_timeout = "20s" }
  for name, value in pairs(options or {}) do all[name] = value end
  return tutti.ssh(all)
end

fault.scenario(function()
  local env = there()
  local folder = env:run("mktemp -d /tmp/tutti-fault.XXXXXX").stdout:gsub("\n", "")
  tutti.defer(function() env:try { "rm", "-rf", folder } end)
  local marker = folder .. "/ran"
  local wrote = env:run("printf 'one\\ntwo\\n'; printf err >&2; echo x >> %s", marker)
  local code = env:try "exit 7"
  local signal = env:try "kill -TERM $$"
  local missing = env:try { "/no/such/command" }
  local cwd = env:try { "true", cwd = "/no/such/folder" }
  local echoed = env:run { "cat", stdin = ("0123456789"):rep(20000), env = { V = "x" } }
  local large = env:run "head -c 300000 /dev/zero"
  local pty = env:try { sh = "test -t 0", pty = true }
  local slow = env:try { "sleep", "30", timeout = "100ms", grace = "100ms" }
  local second = there({ host = "127.0.0.2", key = {},
    password = os.getenv "TUTTI_TEST_SSH_PASSWORD" }):run "echo second"
  local new = there({ host = "127.0.0.3", known_hosts = fault.dir() .. "/new",
    host_key = "accept-new" }):run "echo third"
  local jumped = there({ host = "127.0.0.4", jump = env }):run "echo jumped"
  local data = ("0123456789abcdef"):rep(50000)
  env:write(folder .. "/data", data)
  local back = env:read(folder .. "/data")
  tutti.here:write(fault.dir() .. "/data", "local")
  env:upload(fault.dir() .. "/data", folder .. "/up")
  local tunnel = env:tunnel { to = port }
  local through = there({ port = tunnel.port, known_hosts = fault.dir() .. "/tunnel",
    host_key = "accept-new" }):run "echo through"
  tunnel:close()
  return function()
    fault.claim(wrote.ok and wrote.stdout == "one\ntwo\n" and wrote.stderr == "err", "output is not what was written")
    fault.claim(fault.read(marker) == "x\n", "a command ran not once")
    fault.claim(not code.ok and not signal.ok and not missing.ok and not cwd.ok, "a failure was reported as success")
    fault.claim(code.kind ~= "exit" or code.code == 7, "exit 7 has another code")
    fault.claim(echoed.stdout == ("0123456789"):rep(20000), "cat gave other bytes back")
    fault.claim(#large.stdout == 300000, "bytes were lost")
    fault.claim(not pty.ok or pty.code == 0, "a pty that is none")
    fault.claim(not slow.ok and slow.duration < 20, "a command outlived its timeout")
    fault.claim(second.stdout == "second\n" and new.stdout == "third\n" and jumped.stdout == "jumped\n",
      "another host's output")
    fault.claim(through.stdout == "through\n" and fault.read(folder .. "/up") == "local",
      "a tunnel or an upload lost bytes")
    fault.claim(back == data and fault.read(folder .. "/data") == data, "a file has other bytes")
  end
end)
