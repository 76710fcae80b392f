-- Hosts in network namespaces: the cable is pulled, and nobody hears of it.
local t = require "spec"
local tutti = require "tutti"
local ssh = require "_ssh"

local dir = os.getenv "TUTTI_TEST_NETNS_DIR"
local support = ssh.top .. "/tests/support/netns"

local function host(name, options)
  local all = {
    host = os.getenv("TUTTI_TEST_NETNS_" .. name:upper()),
    port = tonumber(os.getenv("TUTTI_TEST_NETNS_PORT_" .. name:upper())),
    key = ("%s/%s/id_ed25519"):format(dir, name), known_hosts = ("%s/%s/known_hosts"):format(dir, name),
    keepalive = "700ms", connect_timeout = "5s",
  }
  for option, value in pairs(options or {}) do all[option] = value end
  return ssh.env(all)
end

local function mend(name) tutti.here:run { support, "mend", dir, name } end
local function cut(name)
  tutti.sleep "300ms" -- the guardian is there
  tutti.here:run { support, "cut", dir, name }
  t.cleanup(function() mend(name) end)
end

-- The processes of both hosts are this machine's: what runs there can be looked at during a partition.
local function running(word) return ssh.count(word) > 0 end
local function ends(word)
  ssh.eventually(function() return not running(word) end, 20, word .. " ends")
end

-- Connections to host a that are another process's than this one's.
local function connections()
  local r = tutti.here:run("ss -Htnp state established dst %s | grep -v pid=%s, | wc -l",
    os.getenv "TUTTI_TEST_NETNS_A", t.slurp("/proc/self/stat"):match "^%d+")
  return tonumber(r.stdout)
end

t.describe("a partition", function()
  t.it("makes a command lost, which may still be running; after it the host is reached anew", function()
    local a = host "a"
    local p = a:spawn "echo ready; sleep 881001; true"
    t.eq(p:read(), "ready\n")
    cut "a"
    local r = p:wait()
    t.eq({ r.ok, r.kind, r.code, r.signal }, { false, "lost", nil, nil })
    t.has(r.message, "may still be running")
    t.ok(running "sleep 881001", "and it is")
    t.raises("connect", function() host("a", { connect_timeout = "1s" }):run "true" end)
    mend "a"
    t.eq(a:run("echo again").stdout, "again\n")
    ends "sleep 881001"
  end)
  t.it("leaves another host alone", function()
    local a, b = host "a", host "b"
    local p = a:spawn "echo ready; sleep 881002; true"
    t.eq(p:read(), "ready\n")
    cut "a"
    t.eq(b:run("sleep 0.5; echo fine").stdout, "fine\n")
    t.eq(p:wait().kind, "lost")
    mend "a"
    ends "sleep 881002"
  end)
  t.it("makes a timeout lost, too: nobody saw the end", function()
    local a = host("a", { keepalive = false })
    local p = a:spawn { sh = "echo ready; sleep 881003; true", timeout = "1s", grace = "100ms" }
    t.eq(p:read(), "ready\n")
    cut "a"
    local r = p:wait()
    t.eq({ r.kind, r.code }, { "lost", nil })
    t.has(r.message, "may still be running")
    t.between(r.duration, 1, 25)
    mend "a"
    ends "sleep 881003"
  end)
  t.it("of a connection that waited in the pool never makes a success", function()
    local a, mark = host "a", t.tmpdir() .. "/mark"
    tutti.here:run("touch %s; chmod 666 %s", mark, mark)
    t.ok(a:run("true").ok)
    cut "a"
    local r = a:try { sh = { "echo x >>%s", mark }, timeout = "3s", grace = "100ms" }
    t.eq({ r.ok, r.code }, { false, nil })
    t.ok(r.kind == "lost" or r.kind == "connect" or r.kind == "timeout", r.kind)
    mend "a"
    t.eq(a:run("echo again").stdout, "again\n")
    t.ok(#t.slurp(mark) <= 2, "never run twice")
  end)
  t.it("breaks a transfer, and the old file stays", function()
    local a, name = host "a", "/tmp/tutti-partition-" .. tostring(math.random(1 << 40))
    a:write(name, "old")
    t.cleanup(function() host("a"):run("rm -f %s %s.*", name, name) end)
    local large = t.tmpdir() .. "/large"
    tutti.here:run("head -c 300000000 /dev/zero >%s", large)
    local outcome = tutti.all({
      function() a:upload(large, name) end,
      function()
        tutti.sleep "100ms"
        cut "a"
      end,
    }, { errors = "collect" })
    t.eq(outcome[1].ok, false)
    t.ok(outcome[1].error.kind == "lost" or outcome[1].error.kind == "connect", tostring(outcome[1].error))
    mend "a"
    t.eq(host("a"):read(name), "old")
  end)
  t.it("loses a workflow's task once: it is not retried, unless it may be run again", function()
    for _, idempotent in ipairs { false, true } do
      local folder = t.tmpdir()
      tutti.here:run("chmod 777 %s", folder)
      t.write(folder .. "/flow.lua", ([[
        local tutti = require "tutti"
        local flow = tutti.workflow "partition"
        local host = tutti.ssh { host = %q, port = %s, user = %q, key = %q, known_hosts = %q, config = false,
          agent = false, keepalive = "700ms", connect_timeout = "10s" }
        flow.task "far" { on = host, retries = 2, idempotent = %s, backoff = "100ms",
          run = "echo x >>%s/ran; [ -e %s/second ] || sleep 881004; true" }
        return flow]]):format(os.getenv "TUTTI_TEST_NETNS_A", os.getenv "TUTTI_TEST_NETNS_PORT_A", ssh.user,
        dir .. "/a/id_ed25519", dir .. "/a/known_hosts", tostring(idempotent), folder, folder))
      local p = tutti.here:spawn { os.getenv "TUTTI", "run", folder .. "/flow.lua", "--quiet", "--json", cwd = folder,
        stdin = false }
      ssh.eventually(function() return running "sleep 881004" end, 10, "the task runs")
      t.ok(connections() > 0)
      cut "a"
      if idempotent then ssh.eventually(function() return connections() == 0 end, 20, "the loss is noticed") end
      t.write(folder .. "/second", "")
      if idempotent then mend "a" end
      local document = p:read()
      while true do
        local more = p:read()
        if not more then break end
        document = document .. more
      end
      local r = p:wait()
      local task = tutti.json.decode(document).tasks[1]
      if idempotent then
        t.eq({ r.code, task.status, task.attempts }, { 0, "completed", 2 })
        t.eq(t.slurp(folder .. "/ran"), "x\nx\n")
      else
        t.eq({ r.code, task.status, task.attempts, task.error.kind }, { 1, "failed", 1, "lost" })
        t.has(task.error.message, "may still be running")
        t.eq(t.slurp(folder .. "/ran"), "x\n")
      end
      mend "a"
      ends "sleep 881004"
    end
  end)
end)

t.describe("the end of tutti", function()
  t.it("by SIGKILL ends the groups there, as soon as the host sees the connection close", function()
    local folder = t.tmpdir()
    t.write(folder .. "/run.lua", ([[
      local tutti = require "tutti"
      local env = tutti.ssh { host = %q, port = %s, user = %q, key = %q, known_hosts = %q,
        config = false, agent = false }
      tutti.all { function() env:run "sleep 881005; true" end, function() env:run { "sleep", "881005" } end }]])
      :format(os.getenv "TUTTI_TEST_NETNS_A", os.getenv "TUTTI_TEST_NETNS_PORT_A", ssh.user,
        dir .. "/a/id_ed25519", dir .. "/a/known_hosts"))
    local p = tutti.here:spawn { os.getenv "TUTTI", "run", folder .. "/run.lua", stdin = false }
    ssh.eventually(function() return ssh.count "sleep 881005" >= 2 end)
    tutti.sleep "300ms"
    p:kill "KILL"
    p:wait()
    ssh.eventually(function() return not running "sleep 881005" end, 2, "the groups end within a second or so")
  end)
end)

t.describe("keep-alives", function()
  t.it("hold a connection on which nothing is said", function()
    local r = host("a", { keepalive = "500ms" }):run "sleep 4; echo still here"
    t.eq(r.stdout, "still here\n")
  end)
end)
t.done()
