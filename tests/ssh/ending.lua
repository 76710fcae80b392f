-- Programs that end while something is still done for a host: nothing of it is left (a build with
-- fault points names what is, and aborts), and nobody waits for what was given up.
local t = require "spec"
local tutti = require "tutti"
local ssh = require "_ssh"

local dir

--- Runs a program with an ssh configuration whose `server` is the started one. `fake`: an `ssh` that
--- comes before the real one.
local function program(text, fake, ...)
  t.write(dir .. "/run.lua", "local tutti = require 'tutti'\n" .. text)
  local env = { TUTTI_SSH_CONFIG = dir .. "/config" }
  if fake then
    t.write(dir .. "/bin/ssh", "#!/bin/sh\n" .. fake .. "\n")
    tutti.here:run { "chmod", "755", dir .. "/bin/ssh" }
    env.PATH = dir .. "/bin:" .. os.getenv "PATH"
  end
  local r = tutti.here:try { os.getenv "TUTTI", "run", dir .. "/run.lua", "--", ..., env = env, timeout = "30s" }
  t.eq({ r.code, r.stderr }, { 0, "" })
  return r.stdout
end

--- The option table of an environment on the started server, as text.
local function direct(more)
  return ("{ host = '127.0.0.1', port = %d, user = '%s', key = '%s/id_ed25519', known_hosts = '%s/known_hosts',"
    .. " config = false, agent = false, %s }"):format(ssh.port, ssh.user, ssh.dir, ssh.dir, more or "")
end

t.describe("a program that ends", function()
  t.before(function()
    dir = t.tmpdir()
    tutti.here:run { "mkdir", dir .. "/bin" }
    local common = ("  HostName 127.0.0.1\n  User %s\n  Port %d\n  IdentityFile %s/id_ed25519\n  IdentitiesOnly yes\n"
      .. "  UserKnownHostsFile %s/known_hosts\n"):format(ssh.user, ssh.port, ssh.dir, ssh.dir)
    t.write(dir .. "/config", "Host server\n" .. common .. "Host behind\n  ProxyJump server\n" .. common)
  end)
  t.it("while ssh still tells how to reach a host", function()
    program([[
      local ok, err = pcall(tutti.all, { function() tutti.ssh("server"):run "true" end,
        function() tutti.sleep "200ms" error "x" end })
      assert(not ok and err.kind == "script", err)]], "exec sleep 8800")
  end)
  t.it("while ssh still tells how to reach the host to jump through", function()
    program([[
      local ok, err = pcall(tutti.timeout, "1s", function() tutti.ssh("behind"):run "true" end)
      assert(not ok and err.kind == "timeout", err)]],
      'for a; do [ "$a" != server ] || exec sleep 8800; done; exec /usr/bin/ssh "$@"')
  end)
  t.it("after the environment was collected in the middle of that", function()
    program([[
      pcall(tutti.timeout, "100ms", function() tutti.ssh("server"):run "true" end)
      collectgarbage() collectgarbage()
      tutti.sleep(0)
      collectgarbage()]], "exec sleep 8800")
  end)
  t.it("at any moment of the first command", function()
    for i = 0, 40 do
      program([[
        local after = tonumber(arg[1])
        pcall(tutti.all, { function() tutti.ssh("server"):run "true" end,
          function() tutti.sleep(after) error "x" end })]], nil, tostring(i * 0.0005))
    end
  end, { timeout = 60 })
  t.it("at any moment of logging in", function()
    for i = 0, 40 do
      program("local env = tutti.ssh " .. direct() .. [[
        pcall(tutti.timeout, tonumber(arg[1]), function() env:run "true" end)]], nil, tostring(0.001 + i * 0.0015))
    end
  end, { timeout = 60 })
  t.it("right after a command, with several environments on one host", function()
    for _ = 1, 5 do
      t.eq(program("local one, two = tutti.ssh " .. direct() .. ", tutti.ssh " .. direct("limit = 3") .. [[
        tutti.all { function() io.write(one:run("echo 1").stdout) end, function() two:stat "/" end }
        io.write(two:run("sleep 0.01; echo 2").stdout)]]), "1\n2\n")
    end
  end)
end)
t.done()
