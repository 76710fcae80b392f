-- limit: how many commands of a script run at once on one host.
local t = require "spec"
local tutti = require "tutti"

local dir = os.getenv "TUTTI_TEST_SSH_DIR"
local function host(limit)
  return tutti.ssh {
    host = "127.0.0.1", port = math.tointeger(os.getenv "TUTTI_TEST_SSH_PORT"),
    user = os.getenv "TUTTI_TEST_SSH_USER", key = dir .. "/id_ed25519", known_hosts = dir .. "/known_hosts",
    config = false, agent = false, limit = limit,
  }
end

-- Each command notes how many of its kind run with it.
local function most_at_once(run)
  local folder = t.tmpdir()
  tutti.here:run("chmod 777 %s", folder)
  local lines = tutti.map({ 1, 2, 3, 4, 5, 6 }, function(i)
    return run(("touch %s/%d; ls %s | wc -l; sleep 0.1; rm %s/%d"):format(folder, i, folder, folder, i))
  end)
  local most = 0
  for _, line in ipairs(lines) do most = math.max(most, math.tointeger(line:match "%d+")) end
  return most
end

t.describe("limit", function()
  t.it("bounds run and try", function()
    local env = host(2)
    t.eq(most_at_once(function(command) return env:run(command).stdout end), 2)
    t.eq(most_at_once(function(command) return env:try(command).stdout end), 2)
  end)
  t.it("bounds spawn until each process ended", function()
    local env = host(2)
    t.eq(most_at_once(function(command)
      local p = env:spawn { sh = command, stdin = false }
      local line = p:lines()()
      p:wait()
      return line
    end), 2)
  end)
  t.it("gives the place back after a failure, a cancellation and a process nobody keeps", function()
    local env = host(1)
    t.raises("exit", env.run, env, "exit 3")
    t.raises("timeout", tutti.timeout, "50ms", function() env:run "sleep 30" end)
    t.raises("timeout", tutti.timeout, "200ms", function()
      tutti.all { function() env:run "sleep 30" end, function() env:run "sleep 30" end }
    end)
    tutti.all { function() env:spawn "sleep 30" end }
    t.eq(env:try({ sh = "true", cwd = "/no/such" }).kind, "cwd")
    t.ok(env:run("true").ok)
  end)
  t.it("does not bound another host", function()
    local a, b = host(1), tutti.here
    t.eq(tutti.map({ a, b }, function(env) return env:run("echo x").stdout end), { "x\n", "x\n", n = 2 })
  end)
end)

t.done()
