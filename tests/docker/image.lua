-- Containers of one's own: started when first used, gone afterwards; images without a shell.
local t = require "spec"
local docker = require "_docker"
local tutti = require "tutti"

t.describe("a container of one's own", function()
  t.it("starts once, when first used, however many use it", function()
    local env = tutti.docker { image = "box:local" }
    local before = #docker.own()
    local names = tutti.map({ 1, 2, 3, 4 }, function() return env:run "hostname".stdout end)
    for i = 2, 4 do t.eq(names[i], names[1]) end
    t.eq(#docker.own(), before + 1)
  end)
  t.it("has what the options say", function()
    local dir = t.tmpdir()
    t.write(dir .. "/f", "from here")
    local name = docker.name()
    local env = tutti.docker {
      image = "box:local", name = name, env = { A = "a b $c 'd' \"e\"" }, volumes = { dir .. ":/there:ro" },
      network = "none", user = "user", workdir = "/there", entrypoint = { "/bin/sleep", "100000" },
      memory = "64MiB", cpus = 0.5, labels = { who = "me" }, pull = "never", limit = 2, timeout = "30s",
    }
    t.eq(env:run "pwd; id -un; cat f; echo; printf %s \"$A\"".stdout,
      "/there\nuser\nfrom here\na b $c 'd' \"e\"")
    t.no(env:try "echo x >f".ok)
    local state = docker.api("GET", "/containers/" .. name .. "/json")
    t.eq(state.HostConfig.Memory, 64 << 20)
    t.eq(state.HostConfig.NanoCpus, 500000000)
    t.eq(state.HostConfig.NetworkMode, "none")
    t.eq(state.Config.Labels.who, "me")
    t.eq(docker.count(name, "sleep 100000"), 1)
  end)
  t.it("publishes ports", function()
    local name = docker.name()
    local env = tutti.docker { image = "box:local", name = name, ports = { "127.0.0.1::8080" } }
    env:run "mkdir /www && echo served >/www/f && httpd -p 8080 -h /www"
    local bound = docker.api("GET", "/containers/" .. name .. "/json").NetworkSettings.Ports["8080/tcp"][1]
    t.eq(bound.HostIp, "127.0.0.1")
    t.eq(tutti.here:run { "curl", "-s", "http://127.0.0.1:" .. bound.HostPort .. "/f" }.stdout, "served\n")
  end)
  t.it("is removed when the program ends, and kept only when told", function()
    local gone, kept = docker.name(), docker.name()
    local script = t.tmpdir() .. "/a.lua"
    t.write(script, ([[
      local tutti = require "tutti"
      print(tutti.docker { image = "box:local", name = %q }:run "hostname")
      local kept = tutti.docker { image = "box:local", name = %q, keep = true, entrypoint = { "sleep", "1000" } }
      print(kept:run "hostname")
    ]]):format(gone, kept))
    t.cleanup(function() docker.support("remove", kept) end)
    local r = t.tutti { "run", script }
    t.eq({ r.code, r.stderr }, { 0, "" })
    local names = {}
    for _, container in ipairs(docker.api("GET", "/containers/json?all=1")) do
      names[container.Names[1]] = container.State
    end
    t.eq(names["/" .. gone], nil)
    t.eq(names["/" .. kept], "running")
  end)
  t.it("is removed when tutti is interrupted", function()
    local name = docker.name()
    local script = t.tmpdir() .. "/a.lua"
    t.write(script, ([[require "tutti".docker { image = "box:local", name = %q }:run "sleep 1000" ]]):format(name))
    for _, signal in ipairs { "INT", "TERM" } do
      local p = tutti.here:spawn { os.getenv "TUTTI", "run", script, stdin = false }
      docker.eventually(function()
        return tutti.here:try { os.getenv "TUTTI_TOP" .. "/tests/support/dockerd", "api", docker.dir, "GET",
          "/containers/" .. name .. "/top" }.stdout:find "sleep 1000"
      end, "the command runs")
      p:kill(signal)
      t.no(p:wait().ok)
      for _, container in ipairs(docker.own()) do t.ne(container.Names[1], "/" .. name) end
    end
  end, { timeout = 120 })
  t.it("of a killed tutti is removed by the next", function()
    local name = docker.name()
    local script = t.tmpdir() .. "/a.lua"
    t.write(script, ([[require "tutti".docker { image = "box:local", name = %q, entrypoint = { "sleep", "100000" } }
      :run "echo up; sleep 1000" ]]):format(name))
    local p = tutti.here:spawn { os.getenv "TUTTI", "run", script, stdin = false }
    local function there()
      for _, container in ipairs(docker.own()) do
        if container.Names[1] == "/" .. name and container.State == "running" then return true end
      end
      return false
    end
    docker.eventually(there, "the container runs")
    p:kill "KILL"
    p:wait()
    t.ok(there(), "nobody could remove it")
    tutti.docker { image = "box:local" }:run "true"
    t.no(there())
  end, { timeout = 120 })
  t.it("that cannot be had is an honest error, and leaves nothing", function()
    local before = #docker.own()
    local r = tutti.docker { image = "no-such-image:x", pull = "never" }:try "true"
    t.eq({ r.ok, r.kind, r.code }, { false, "not_found" })
    r = tutti.docker { image = "box:local", entrypoint = { "/no/such" } }:try "true"
    t.eq({ r.ok, r.kind, r.code }, { false, "not_found" })
    r = tutti.docker { image = "box:local", network = "no-such-network" }:try "true"
    t.no(r.ok)
    r = tutti.docker { image = "127.0.0.1:1/no/such:x" }:try "true" -- nobody listens there
    t.eq({ r.ok, r.kind, r.code }, { false, "connect" })
    docker.eventually(function() return #docker.own() == before end, "nothing is left")
  end)
  t.it("a program that needs no Docker loads no libcurl", function()
    local script = t.tmpdir() .. "/a.lua"
    t.write(script, [[
      local loaded = io.open("/proc/self/maps"):read "a"
      assert(not loaded:find "libcurl%.so", "libcurl is loaded")]])
    t.eq(t.tutti { "run", script }.stderr, "")
  end)
end)

t.describe("an image without a shell", function()
  t.it("runs words, byte for byte", function()
    local env = tutti.docker { image = "noshell:local" }
    for _, word in ipairs { "a b", "$HOME", "'", "\"", "`id`", "*", "a\nb", "", "--help", "日本語" } do
      t.eq(env:run { "/echo", "x" .. word }.stdout, "x" .. word .. "\n")
    end
    t.eq(env:try { "/false" }.code, 1)
    t.eq(env:run { "/cat" }.stdout, "")
    t.eq(env:run { "/cat", stdin = "in\0out" }.stdout, "in\0out")
  end, { timeout = 120 })
  t.it("refuses a line for the shell, and says why", function()
    local r = tutti.docker { image = "noshell:local" }:try "echo hi"
    t.eq({ r.ok, r.kind }, { false, "not_found" })
    t.match(r.message or tostring(r.error or ""), "/bin/sh")
  end)
  t.it("a missing program is not_found", function()
    local r = tutti.docker { image = "noshell:local" }:try { "/no/such" }
    t.eq({ r.ok, r.kind }, { false, "not_found" })
  end)
  t.it("ends what timed out", function()
    local name = docker.container "noshell:local"
    local r = tutti.docker(name):try { "/sleep", "3000", timeout = "1s" }
    t.eq({ r.ok, r.kind }, { false, "timeout" })
    t.eq(docker.count(name, "/sleep 3000"), 0)
  end)
end)

t.done()
