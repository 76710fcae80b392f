-- Many operations at once that are given up at random moments, over connections with room for one
-- command beside the guardian, some of them cut: nothing is left, and what succeeds is true. A program of its
-- own for each storm, because its end looks for what was left (in a build with fault points).
local t = require "spec"
local tutti = require "tutti"
local ssh = require "_ssh"

local program = [[
local tutti = require "tutti"
local seed, port, keys, user, dir, cuts = tonumber(arg[1]), tonumber(arg[2]), arg[3], arg[4], arg[5], tonumber(arg[6])
math.randomseed(seed)
local function env(options)
  options.port, options.user = port, user
  options.key, options.known_hosts = keys .. "/id_ed25519", keys .. "/known_hosts"
  options.config, options.agent, options.connect_timeout = false, false, "10s"
  return tutti.ssh(options)
end
local data = ("0123456789abcdef"):rep(20000)
tutti.here:write(dir .. "/data", data)
local function claim(holds, what)
  if not holds then
    io.stderr:write("A LIE: ", what, "\n")
    os.exit(7)
  end
end
local function banner(from)
  local r = tutti.here:try { "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/" .. from .. "; head -c 8 <&3", timeout = "5s" }
  claim(r.stdout == "" or r.stdout == "SSH-2.0-" or r.stdout == "Exceeded", "a tunnel led elsewhere: " .. r.stdout)
end
local jobs = {
  function(e, i) claim(e:run("echo %s", i).stdout == i .. "\n", "run") end,
  function(e) local r = e:try "exit 7" claim(not r.ok and (r.kind ~= "exit" or r.code == 7), "a code") end,
  function(e) claim(e:run { "cat", stdin = data }.stdout == data, "stdin") end,
  function(e)
    local p = e:spawn { "cat" }
    p:write "line\n"
    p:close_stdin()
    local line = p:read()
    claim(not p:wait().ok or line == "line\n", "spawn")
  end,
  function(e) e:try { "sleep", "0.05", timeout = math.random(1, 60) / 1000, grace = "20ms" } end,
  function(e) local p = e:spawn "sleep 880100" p:kill() claim(not p:wait().ok, "kill") end,
  function(e, i)
    e:upload(dir .. "/data", dir .. "/up" .. i)
    claim(tutti.here:read(dir .. "/up" .. i) == data, "upload")
  end,
  function(e, i)
    e:download(dir .. "/data", dir .. "/down" .. i)
    claim(tutti.here:read(dir .. "/down" .. i) == data, "download")
  end,
  function(e) claim(#e:glob(dir .. "/dat*") == 1, "glob") end,
  function(e, i) e:write(dir .. "/w" .. i, "abc") claim(e:read(dir .. "/w" .. i) == "abc", "write") end,
  function(e) local tunnel = e:tunnel { to = port } banner(tunnel.port) tunnel:close() end,
  function(e) local tunnel = e:tunnel { to = port, reverse = true } banner(tunnel.port) tunnel:close() end,
  function()
    local behind = env { host = "127.0.0.3", jump = env { host = "127.0.0.1" } }
    claim(behind:run "echo j".stdout == "j\n", "jump")
  end,
  function() env({ host = "127.0.0.2", keepalive = math.random(1000, 2000) / 1000 }):run "true" end,
}
local shared = { env { host = "127.0.0.1" }, env { host = "127.0.0.1", limit = 2 },
  env { host = "127.0.0.2", idle = "50ms" }, env { host = "127.0.0.2", lifetime = "100ms" } }
-- what a connection that is cut may be reported as
local cut = { lost = true, connect = true, auth = true, io = true, unsupported = true, signal = true }
local function job()
  local work, e, i = jobs[math.random(#jobs)], shared[math.random(#shared)], math.random(1 << 30)
  local limit = math.random() < 0.7 and math.random(0, 50) / 1000 or 20
  local ok, err = pcall(tutti.timeout, limit, function() work(e, i) end)
  claim(ok or err.kind == "timeout" or err.kind == "cancelled" or (cuts > 0 and cut[err.kind]), tostring(err))
  if math.random() < 0.1 then collectgarbage() end
end
local list = {}
for i = 1, 40 do list[i] = i end
local limit = math.random() < 0.5 and math.random(1, 800) / 1000 or 60
local ok, err = pcall(tutti.timeout, limit, function()
  tutti.all {
    function() tutti.map(list, job, { parallel = math.random(3, 30) }) end,
    function()
      for _ = 1, cuts do
        tutti.sleep(math.random(5, 200) / 1000)
        tutti.here:try { os.getenv "TUTTI_TOP" .. "/tests/support/sshd", "cut", keys }
      end
    end,
  }
end)
claim(ok or err.kind == "timeout", tostring(err))
]]

t.describe("a storm", function()
  for _, cuts in ipairs { 0, 3 } do
    t.it(cuts == 0 and "of operations that are given up" or "in which connections break, too", function()
      local server = ssh.server { SSHD_MAX_SESSIONS = "2" }
      for seed = 1, 5 do
        local dir = t.tmpdir()
        tutti.here:run { "chmod", "777", dir }
        t.write(dir .. "/storm.lua", program)
        local r = tutti.here:try { os.getenv "TUTTI", "run", dir .. "/storm.lua", "--", tostring(seed),
          tostring(server.port), server.dir, ssh.user, dir, tostring(cuts), timeout = "50s" }
        t.eq({ seed, r.code, r.stderr }, { seed, 0, "" })
      end
    end, { timeout = 120 })
  end
end)
t.done()
