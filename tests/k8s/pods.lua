-- Pods as environments: what the contract's specs cannot do because it breaks the pod or its cluster.
local t = require "spec"
local kube = require "_kube"
local tutti = require "tutti"
local k8s = tutti.k8s
local with = kube.with

-- A pod with these containers, name = command line, that is running; deleted after the test.
local function containers(name, labels, lines)
  local list = tutti.json.array {}
  for container, line in pairs(lines) do
    list[#list + 1] = { name = container, image = "box:local", command = { "/bin/sh", "-c", line } }
  end
  k8s.apply({ apiVersion = "v1", kind = "Pod", metadata = { name = name, labels = labels },
    spec = { terminationGracePeriodSeconds = 0, containers = list } }, with())
  t.cleanup(function() k8s.delete("pod/" .. name, with { missing_ok = true, grace = 0 }) end)
  kube.eventually(function()
    local ready = 0
    for _, status in ipairs(k8s.get("pod/" .. name, with()).status.containerStatuses or {}) do
      ready = ready + (status.ready and 1 or 0)
    end
    return ready == #list
  end, name .. " is ready")
end

t.describe("naming", function()
  t.it("what is no name is refused before any request", function()
    local nowhere = kube.config(nil, { server = "https://127.0.0.1:1" })
    for _, name in ipairs { "a; curl x", "../x", "", "-x", "a b", "a?b", "A", "$HOME", "a\nb", ".x", "a\0b",
      "a%2fb" } do
      for _, field in ipairs { "pod", "deployment", "namespace", "container" } do
        local o = { kubeconfig = nowhere, pod = field ~= "deployment" and "p" or nil }
        o[field] = name
        t.raises("invalid", function() return k8s(o) end)
      end
      t.raises("invalid", function() return k8s.logs(name, { kubeconfig = nowhere }) end)
      t.raises("invalid", function() return k8s.forward(name, 80, { kubeconfig = nowhere }) end)
      if name ~= "A" then -- some resources have such names
        t.raises("invalid", function() return k8s.get("pod/" .. name, { kubeconfig = nowhere }) end)
      end
    end
    t.raises("invalid", function() return tutti.env "k8s://default/a; curl x" end)
    t.raises("invalid", function() return tutti.env "k8s://../x" end)
    t.raises("invalid", function() return tutti.env "k8s://a/b/c/d" end)
  end)
  t.it("options are known by name", function()
    t.match(t.raises("invalid", function() return k8s { deploymnet = "x" } end).message, "deployment")
    t.raises("invalid", function() return k8s {} end)
    t.raises("invalid", function() return k8s { pod = "a", selector = "b=c" } end)
    t.raises("invalid", function() return k8s { job = {} } end)
    t.match(t.raises("invalid", function() return k8s { job = { image = "a", imgae = "b" } } end).message, "image")
    t.raises("invalid", function() return k8s { pod = "a", job = { image = "b" } } end)
    t.raises("not_found", function() return k8s { context = "no-such-context", pod = "a" } end)
  end)
  t.it("a string, a table and text name the same", function()
    local name = kube.pod()
    local text = ("k8s://default/%s/main?context=%s"):format(name, kube.context)
    for _, env in ipairs { tutti.env(text), k8s(with { namespace = "default", pod = name, container = "main" }) } do
      t.eq(tostring(env), text)
      t.eq(env:run "hostname".stdout, name .. "\n")
    end
    t.eq(k8s("default/" .. name):run "hostname".stdout, name .. "\n")
    t.eq(k8s("default/" .. name .. "/main"):run "hostname".stdout, name .. "\n")
    t.eq(k8s(name):run "hostname".stdout, name .. "\n", "the context's own namespace")
  end)
end)

t.describe("the pod", function()
  t.it("that is missing is not_found", function()
    local env = k8s(with { pod = "no-such-pod" })
    local r = env:try "true"
    t.eq({ r.ok, r.kind, r.code }, { false, "not_found" })
    t.raises("not_found", function() env:read "/etc/passwd" end)
    t.raises("not_found", function() k8s.logs("no-such-pod", with()) end)
    t.eq(k8s(with { namespace = "no-such-namespace", pod = "x" }):try "true".kind, "not_found")
  end)
  t.it("without the named container is invalid, and says its name", function()
    local env = k8s(with { pod = kube.pod(), container = "no-such" })
    t.has(t.raises("invalid", function() env:try "true" end).message, "no-such")
  end)
  t.it("deleted in the middle of a command is lost", function()
    local name = kube.pod()
    local p = k8s(with { pod = name }):spawn "echo started; sleep 100000"
    t.eq(p:lines()(), "started")
    k8s.delete("pod/" .. name, with { grace = 0 })
    local r = p:wait()
    t.eq({ r.ok, r.kind, r.code, r.signal }, { false, "lost" })
  end)
  t.it("takes values exactly, whatever is in them", function()
    local env = k8s(with { pod = kube.pod() })
    for _, value in ipairs { "a b", "$HOME", "'", "\"", "`id`", "*", "a\nb", "", "--help", "日本語", "a&b=c#d%20" } do
      t.eq(env:run { "printf", "%s", value }.stdout, value)
      t.eq(env:run { sh = "printf %s \"$V\"", env = { V = value } }.stdout, value)
      t.eq(env:run { "cat", stdin = value }.stdout, value)
    end
    t.eq(env:run { "cat", timeout = "20s" }.stdout, "", "without stdin it ends")
  end)
  t.it("has several containers: each has its own commands, files and logs", function()
    local name = kube.name "two"
    containers(name, { app = name }, { a = "echo log of a; exec sleep 100001", b = "echo log of b; exec sleep 100002" })
    for _, container in ipairs { "a", "b" } do
      local env = k8s(with { pod = name, container = container })
      env:write("/tmp/f", container)
      t.eq(env:read "/tmp/f", container)
      t.match(env:run "tr '\\0' ' ' </proc/1/cmdline".stdout, "10000" .. (container == "a" and 1 or 2))
      for line in k8s.logs(env) do t.eq(line, "log of " .. container) end
    end
    local e = t.raises("invalid", function() k8s(with { pod = name }):run "true" end)
    t.match(e.message, "%[[ab] [ab]%]")
  end, { timeout = 120 })
  t.it("keeps nothing of what ended, however it ended", function()
    local env = k8s(with { pod = kube.pod() })
    local seconds = { kube.sleep(), kube.sleep(), kube.sleep() }
    env:try { "sleep", seconds[1], timeout = "500ms" }
    t.eq(kube.count("sleep", seconds[1]), 0)
    local p = env:spawn { "sleep", seconds[2] }
    kube.eventually(function() return kube.count("sleep", seconds[2]) == 1 end, "it runs")
    p:kill "KILL"
    t.eq(p:wait().signal, "KILL")
    t.eq(kube.count("sleep", seconds[2]), 0)
    -- tutti itself is killed
    local script = t.tmpdir() .. "/a.lua"
    t.write(script, ("require 'tutti'.env(%q):run('sleep %s')"):format(tostring(env), seconds[3]))
    for _, signal in ipairs { "KILL", "INT" } do
      p = tutti.here:spawn { os.getenv "TUTTI", "run", script, stdin = false }
      kube.eventually(function() return kube.count("sleep", seconds[3]) == 1 end, "it runs")
      p:kill(signal)
      p:wait()
      kube.eventually(function() return kube.count("sleep", seconds[3]) == 0 end, "nothing runs after " .. signal)
    end
  end, { timeout = 120 })
  t.it("tutti on takes it as a target, and several", function()
    local a, b = kube.pod(), kube.pod()
    local function on(...)
      local words = { "on" }
      for _, name in ipairs { a, b } do
        words[#words + 1] = ("k8s://default/%s?context=%s"):format(name, kube.context)
      end
      table.move({ "--", ... }, 1, select("#", ...) + 1, #words + 1, words)
      return t.tutti(words)
    end
    local r = on("cat", "/etc/hostname")
    t.eq(r.code, 0, r.stderr)
    t.has(r.stdout, a)
    t.has(r.stdout, b)
    t.eq(on("[ $(hostname) = " .. a .. " ]").code, 1)
    t.eq(t.tutti { "on", "k8s://default/a; curl x", "--", "true" }.code, 2)
  end)
end)

t.describe("a selector", function()
  t.it("takes the oldest of the ready pods, and the result names it", function()
    local app = kube.name "sel"
    local names = { app .. "-z", app .. "-a" } -- the older one is not first by name
    local env = k8s(with { selector = { app = app, ["tutti-spec"] = "1" }, container = "main" })
    t.raises("not_found", function() env:run "true" end)
    t.has(env:try "true".message, "app=" .. app)
    for _, name in ipairs(names) do
      containers(name, { app = app, ["tutti-spec"] = "1" }, { main = "exec sleep 100000" })
      tutti.sleep "1100ms" -- a pod's age is counted in seconds
    end
    local r = env:run "hostname"
    t.eq(r.stdout, names[1] .. "\n")
    t.has(r.env, "/" .. names[1])
    env:write("/tmp/f", "on the first")
    t.eq(k8s(with { pod = names[1] }):read "/tmp/f", "on the first")
    k8s.delete("pod/" .. names[1], with { grace = 0 })
    t.eq(env:run "hostname".stdout, names[2] .. "\n")
  end, { timeout = 120 })
end)

t.describe("a job", function()
  local function jobs()
    return #k8s.get("jobs", with { selector = "app.kubernetes.io/managed-by=tutti" })
  end
  t.it("runs as a Job with what the options say, and is deleted", function()
    local env = k8s(with { job = { image = "box:local", env = { A = "a b $c $$ $(A)" }, labels = { who = "me" },
      memory = "64Mi", cpu = "200m", pull = "never", pod = { hostname = "named" } } })
    local function command() -- its job is there as long as it may be asked
      local p = env:spawn 'echo "$A"; hostname; read x; exit 5'
      local line = p:lines()
      t.eq({ line(), line() }, { "a b $c $$ $(A)", "named" })
      local pods = k8s.get("pods", with { selector = "who=me" })
      t.eq(#pods, 1)
      local container = pods[1].spec.containers[1]
      t.eq({ container.resources.limits.memory, container.resources.limits.cpu, container.imagePullPolicy },
        { "64Mi", "200m", "Never" })
      t.eq(jobs(), 1)
      p:write "go\n"
      local r = p:wait()
      t.eq({ r.code, r.kind }, { 5, "exit" })
    end
    command()
    collectgarbage()
    kube.eventually(function() return jobs() == 0 end, "the job is deleted")
  end, { timeout = 120 })
  t.it("that cannot be had is an honest error, and leaves nothing", function()
    local r = k8s(with { job = { image = "no-such:local", pull = "never" } }):try "true"
    t.eq({ r.ok, r.kind, r.code }, { false, "not_found" })
    t.eq(k8s(with { namespace = "no-such-namespace", job = { image = "box:local" } }):try "true".ok, false)
    kube.eventually(function() return jobs() == 0 end, "nothing is left")
  end, { timeout = 120 })
  t.it("whose pod is deleted is lost", function()
    local env = k8s(with { job = { image = "box:local", labels = { who = "deleted" } } })
    local function command()
      local p = env:spawn "echo started; sleep 100000"
      t.eq(p:lines()(), "started")
      k8s.delete("pod/" .. k8s.get("pods", with { selector = "who=deleted" })[1].metadata.name, with { grace = 0 })
      local r = p:wait()
      t.eq({ r.ok, r.kind, r.code }, { false, "lost" })
    end
    command()
    collectgarbage()
    kube.eventually(function() return jobs() == 0 end, "the job is deleted")
  end, { timeout = 120 })
  t.it("of a killed tutti stops, and is removed by the next", function()
    local seconds = kube.sleep()
    local script = t.tmpdir() .. "/a.lua"
    t.write(script, ("require 'tutti'.k8s { context = %q, job = { image = 'box:local' } }:run('sleep %s')")
      :format(kube.context, seconds))
    for _, signal in ipairs { "KILL", "TERM" } do
      local p = tutti.here:spawn { os.getenv "TUTTI", "run", script, stdin = false }
      kube.eventually(function() return kube.count("sleep", seconds) == 1 end, "it runs")
      p:kill(signal)
      p:wait()
      kube.eventually(function() return kube.count("sleep", seconds) == 0 end, "nothing runs after " .. signal)
      if signal == "KILL" then
        t.eq(jobs(), 1, "nobody could delete it")
        k8s(with { job = { image = "box:local" } }):run "true"
      end
      kube.eventually(function() return jobs() == 0 end, "the job is deleted")
    end
  end, { timeout = 120 })
end)

t.describe("logs", function()
  t.it("follow, since, and the last lines", function()
    local name = kube.name "logs"
    containers(name, {}, { main = "echo one; echo two; sleep 2; echo late; sleep 100000" })
    local seen = {}
    for line in k8s.logs(name, with { follow = true }) do
      seen[#seen + 1] = line
      if line == "late" then break end
    end
    t.eq(seen, { "one", "two", "late" })
    seen = {}
    for line in k8s.logs(name, with { tail = 1 }) do seen[#seen + 1] = line end
    t.eq(seen, { "late" })
    for line in k8s.logs(name, with { timestamps = true, tail = 1 }) do t.match(line, "^%d+%-%d+%-%d+T.* late$") end
    seen = 0
    for _ in k8s.logs(name, with { since = 1000 }) do seen = seen + 1 end
    t.eq(seen, 3)
    for _ in k8s.logs(name, with { since = "2099-01-01T00:00:00Z" }) do error "nothing is of the future" end
    t.raises("invalid", function() k8s.logs(name, with { previous = true }) end)
    t.raises("invalid", function() k8s.logs(name, with { tial = 1 }) end)
    t.raises("timeout", function()
      tutti.timeout("300ms", function() for _ in k8s.logs(name, with { follow = true }) do end end)
    end)
  end, { timeout = 120 })
  t.it("of the container before the one that runs", function()
    local name = kube.name "again"
    k8s.apply({ apiVersion = "v1", kind = "Pod", metadata = { name = name },
      spec = { terminationGracePeriodSeconds = 0, restartPolicy = "Always",
        volumes = { { name = "v", emptyDir = {} } },
        containers = { { name = "main", image = "box:local", volumeMounts = { { name = "v", mountPath = "/v" } },
          command = { "/bin/sh", "-c",
            "if [ -e /v/x ]; then echo second; sleep 100000; fi; touch /v/x; echo first" } } },
      } }, with())
    t.cleanup(function() k8s.delete("pod/" .. name, with { missing_ok = true, grace = 0 }) end)
    kube.eventually(function()
      local status = (k8s.get("pod/" .. name, with()).status.containerStatuses or {})[1]
      return status and status.restartCount == 1 and status.ready
    end, "it was started again")
    for line in k8s.logs(name, with { previous = true }) do t.eq(line, "first") end
    for line in k8s.logs(name, with()) do t.eq(line, "second") end
  end, { timeout = 120 })
end)

t.describe("a forwarded port", function()
  t.it("carries bytes both ways, many connections at once, and is closed with its scope", function()
    local name = kube.name "echo"
    containers(name, {}, { main = "exec nc -ll -p 7000 -e cat" })
    local port
    do
      local f <close> = k8s.forward(name, 7000, with())
      port = f.port
      local data = ("0123456789abcdef"):rep(20000)
      local got = tutti.map({ 1, 2, 3, 4 }, function(i)
        return tutti.here:run { "python3", "-c", [[
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
data = sys.stdin.buffer.read()
got = b""
s.sendall(data[:100])
while len(got) < 100: got += s.recv(65536)
import threading
threading.Thread(target=lambda: s.sendall(data[100:]), daemon=True).start()
while len(got) < len(data):
    more = s.recv(65536)
    if not more: break
    got += more
sys.stdout.buffer.write(got)]], tostring(port), stdin = i .. data }.stdout
      end)
      for i = 1, 4 do t.ok(got[i] == i .. data, "connection " .. i) end
    end
    t.no(tutti.here:try { "python3", "-c",
      "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2)", tostring(port) }.ok)
    local f <close> = k8s.forward(name, 7001, with()) -- nobody listens there
    t.eq(tutti.here:run { "python3", "-c", [[
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
try: print(len(s.recv(10)))
except ConnectionResetError: print(0)]], tostring(f.port) }.stdout, "0\n")
    kube.eventually(function() return f:trouble() ~= nil end, "it says why")
    t.raises("invalid", function() k8s.forward(name, 70000, with()) end)
  end, { timeout = 120 })
end)

t.describe("the API server", function()
  t.it("that is not there is connect", function()
    local nowhere = kube.config(nil, { server = "https://127.0.0.1:1" })
    local r = k8s { kubeconfig = nowhere, pod = "x" }:try "true"
    t.eq({ r.ok, r.kind, r.code }, { false, "connect" })
    t.raises("connect", function() k8s.get("pods", { kubeconfig = nowhere }) end)
  end)
  t.it("whose certificate another authority signed is refused", function()
    local config = kube.config(nil, { ["certificate-authority"] = kube.dir .. "/node/kubeconfig" })
    local r = k8s { kubeconfig = config, pod = "x" }:try "true"
    t.eq({ r.ok, r.code }, { false })
  end)
  t.it("restarted in the middle of a command makes it lost, ends it, and is found again", function()
    local name, seconds = kube.pod(), kube.sleep()
    local env = k8s(with { pod = name })
    env:write("/tmp/f", "before")
    local p = env:spawn("echo started; sleep " .. seconds)
    t.eq(p:lines()(), "started")
    kube.support "stop-api"
    local restarted
    t.cleanup(function() if not restarted then kube.support "start-api" end end)
    local r = p:wait()
    t.eq({ r.ok, r.kind, r.code, r.signal }, { false, "lost" })
    r = env:try { "true", timeout = "20s" }
    t.eq({ r.ok, r.kind, r.code }, { false, "connect" })
    kube.eventually(function() return kube.count("sleep", seconds) == 0 end, "the command has ended")
    kube.support "start-api"
    restarted = true
    t.eq(env:run "echo again".stdout, "again\n")
    t.eq(env:read "/tmp/f", "before")
  end, { timeout = 180 })
end)

t.done()
