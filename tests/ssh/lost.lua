-- Connections that end: what is reported, what is left running, what comes back.
local t = require "spec"
local tutti = require "tutti"
local ssh = require "_ssh"

t.describe("a connection that ends", function()
  t.it("in the middle of a command is lost, and the command is not run again", function()
    local server = ssh.server()
    local env = server.env()
    local dir = t.tmpdir()
    tutti.here:run { "chmod", "777", dir }
    local p = env:spawn { sh = "echo x >>" .. dir .. "/ran; echo ready; sleep 880001" }
    t.eq(p:read(), "ready\n")
    server.control "cut"
    local r = p:wait()
    t.eq({ r.ok, r.kind, r.code, r.signal }, { false, "lost", nil, nil })
    t.has(r.message, "may still be running")
    t.eq(t.slurp(dir .. "/ran"), "x\n")
    ssh.eventually(function() return ssh.count "sleep 880001" == 0 end, 2, "the group ended with the connection")
  end)
  t.it("between commands is replaced", function()
    local server = ssh.server()
    local env = server.env()
    t.eq(env:run("echo 1").stdout, "1\n")
    server.control "restart"
    server.control "cut"
    t.eq(env:run("echo 2").stdout, "2\n")
    server.control "stop"
    server.control "cut"
    t.raises("connect", function() env:run "echo 3" end)
    server.control "start"
    t.eq(env:run("echo 4").stdout, "4\n")
  end)
  t.it("with many commands on it: each is lost", function()
    local server = ssh.server()
    local env = server.env()
    local results = tutti.all {
      function() return tutti.map({ 1, 2, 3, 4, 5, 6, 7, 8 },
        function(i) return env:try("echo %s; sleep 880002", i) end, { parallel = 8 }) end,
      function()
        ssh.eventually(function() return ssh.count "sleep 880002" >= 8 end)
        server.control "cut"
      end,
    }
    for i, r in ipairs(results[1]) do
      t.eq({ r.kind, r.stdout }, { "lost", i .. "\n" })
    end
    ssh.eventually(function() return ssh.count "sleep 880002" == 0 end, 2)
  end)
  t.it("is found out by keep-alives when nothing says so", function()
    local server = ssh.server()
    local env = server.env { keepalive = "200ms" }
    local p = env:spawn "echo ready; sleep 880003"
    t.eq(p:read(), "ready\n")
    local stopped = tutti.here:run { sh = "ss -Htnp state established 'sport = :'$PORT |"
      .. " grep -o 'pid=[0-9]*' | cut -d= -f2 | sort -u",
      env = { PORT = tostring(server.port) } }.stdout
    for pid in stopped:gmatch "%d+" do tutti.here:run("kill -STOP %s", pid) end
    t.cleanup(function() for pid in stopped:gmatch "%d+" do tutti.here:try("kill -CONT %s; kill -9 %s", pid,
      pid) end end)
    local r = p:wait()
    t.eq(r.kind, "lost")
    t.has(r.message, "no answer")
  end)
end)

t.describe("nothing is left running", function()
  local env = ssh.env()
  t.it("after a timeout", function()
    local r = env:try { sh = "sleep 880004; true", timeout = "300ms" }
    t.eq(r.kind, "timeout")
    t.eq(ssh.count "sleep 880004", 0)
    t.ok(r.duration < 12)
  end)
  t.it("after a timeout that TERM does not end", function()
    local r = env:try { sh = "trap '' TERM; sleep 880005 & sleep 880005; sleep 880005", timeout = "200ms",
      grace = "300ms" }
    t.eq(r.kind, "timeout")
    ssh.eventually(function() return ssh.count "sleep 880005" == 0 end, 2)
  end)
  t.it("of another user's, either", function()
    local r = env:try { sh = "sleep 880006; true", user = "root", password = ssh.password, timeout = "800ms" }
    t.eq(r.kind, "timeout")
    ssh.eventually(function() return ssh.count "sleep 880006" == 0 end, 3)
  end)
  t.it("a second after tutti was killed", function()
    local dir = t.tmpdir()
    t.write(dir .. "/run.lua", ([[
      local tutti = require "tutti"
      local env = tutti.ssh { host = "127.0.0.1", port = %d, user = %q, key = %q, known_hosts = %q,
        config = false, agent = false }
      tutti.all {
        function() env:run "sleep 880007; true" end,
        function() env:run "setsid sleep 880008 & sleep 880007" end,
        function() env:run { "sleep", "7007" } end,
        function() env:run { sh = "sleep 880007; true", user = "root", password = %q } end,
      }]]):format(ssh.port, ssh.user, ssh.dir .. "/id_ed25519", ssh.dir .. "/known_hosts", ssh.password))
    local p = tutti.here:spawn { os.getenv "TUTTI", "run", dir .. "/run.lua", stdin = false }
    ssh.eventually(function() return ssh.count "sleep 880007" >= 4 end)
    tutti.sleep "200ms"
    p:kill "KILL"
    p:wait()
    ssh.eventually(function() return ssh.count "sleep 880007" == 0 end, 1.5, "groups that outlive tutti")
    t.eq(ssh.count "sleep 880008", 1, "a daemon by its own wish")
    tutti.here:run("kill %s", select(2, t.processes("sleep", "880008")))
  end)
  t.it("but a background child of a command that ended", function()
    local r = env:run "sleep 880009 & echo started"
    t.eq(r.stdout, "started\n")
    t.eq(ssh.count "sleep 880009", 1)
    env:run { "sh", "-c", "sleep 880009 & exit 0" }
    env:run "exec sh -c 'sleep 880009 & exit 0'"
    t.eq(ssh.count "sleep 880009", 3)
    tutti.here:run("kill %s", select(2, t.processes("sleep", "880009")))
  end)
end)
t.done()
