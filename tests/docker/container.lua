-- A running container as an environment: what the contract's specs cannot do because it breaks the
-- container or its daemon.
local t = require "spec"
local docker = require "_docker"
local tutti = require "tutti"

t.describe("naming", function()
  t.it("what is no name is refused before any request", function()
    for _, name in ipairs { "a; curl x", "../x", "", "-x", "a b", "a/b", "$HOME", "a\nb", ".x", "a\0b" } do
      t.raises("invalid", function() return tutti.docker { container = name, host = "unix:///no/such" } end)
    end
    for _, name in ipairs { "a; curl x", "../x", "", "-x", "a b", "A B:c", "x:", "x@sha256:" } do
      t.raises("invalid", function() return tutti.docker { image = name, host = "unix:///no/such" } end)
    end
    t.raises("invalid", function() return tutti.env "docker://a; curl x" end)
    t.raises("invalid", function() return tutti.env "docker-image://../x" end)
  end)
  t.it("options are known by name", function()
    t.raises("invalid", function() return tutti.docker {} end)
    t.match(t.raises("invalid", function() return tutti.docker { imgae = "box:local" } end).message, "image")
    t.raises("invalid", function() return tutti.docker { container = "x", volumes = { "a:/b" } } end)
    t.raises("invalid", function() return tutti.docker { container = "x", image = "y" } end)
    t.raises("invalid", function() return tutti.docker { image = "x", ports = { "abc" } } end)
    t.raises("invalid", function() return tutti.docker { image = "x", volumes = { "../a:/b" } } end)
    t.raises("invalid", function() return tutti.docker { image = "x", pull = "perhaps" } end)
  end)
  t.it("a string, a table and text name the same", function()
    local name = docker.container()
    for _, env in ipairs { tutti.docker(name), tutti.docker { container = name }, tutti.env("docker://" .. name) } do
      t.eq(tostring(env), "docker://" .. name)
      t.eq(env:run "echo hi".stdout, "hi\n")
    end
  end)
  t.it("TLS with client certificates", function()
    local name = docker.container()
    local host = os.getenv "TUTTI_TEST_DOCKER_TLS_HOST"
    local env = tutti.docker { container = name, host = host, cert_path = docker.dir .. "/tls" }
    t.eq(env:run { "cat", stdin = "through TLS" }.stdout, "through TLS")
    t.eq(env:run "head -c 3000000 /dev/zero | wc -c".stdout, "3000000\n")
    local stranger = tutti.docker { container = name, host = host, cert_path = t.tmpdir() }
    local r = stranger:try "true"
    t.no(r.ok)
    t.eq(r.code, nil)
  end)
end)

t.describe("the container", function()
  t.it("that is missing is not_found", function()
    local r = tutti.docker "no-such-container":try "true"
    t.eq({ r.ok, r.kind, r.code }, { false, "not_found" })
    t.raises("not_found", function() tutti.docker "no-such-container":run "true" end)
    t.raises("not_found", function() tutti.docker "no-such-container":read "/etc/passwd" end)
  end)
  t.it("that is stopped is connect: nothing ran", function()
    local name = docker.container()
    docker.api("POST", "/containers/" .. name .. "/stop?t=0")
    local r = tutti.docker(name):try "true"
    t.eq({ r.ok, r.kind, r.code }, { false, "connect" })
  end)
  t.it("stopped in the middle of a command is lost", function()
    local name = docker.container()
    local p = tutti.docker(name):spawn "echo started; sleep 1000"
    t.eq(p:lines()(), "started")
    docker.api("POST", "/containers/" .. name .. "/stop?t=0")
    local r = p:wait()
    t.eq({ r.ok, r.kind, r.code, r.signal }, { false, "lost" })
  end)
  t.it("removed in the middle of a command is lost", function()
    local name = docker.container()
    local p = tutti.docker(name):spawn "echo started; sleep 1000"
    t.eq(p:lines()(), "started")
    docker.api("DELETE", "/containers/" .. name .. "?force=1")
    local r = p:wait()
    t.eq({ r.ok, r.kind, r.code, r.signal }, { false, "lost" })
  end)
  t.it("whose command is killed by another is signal", function()
    local name = docker.container()
    local env = tutti.docker(name)
    local p = env:spawn "echo $$; exec sleep 1000"
    env:run { "kill", "-9", p:lines()() }
    t.eq(p:wait().signal, "KILL")
  end)
  t.it("keeps no session of what ended", function()
    local name = docker.container()
    local env = tutti.docker(name)
    env:run "true"
    env:try "exit 3"
    env:try { sh = "sleep 1000", timeout = "300ms" }
    env:write("/tmp/f", "x")
    t.eq(env:read "/tmp/f", "x")
    t.eq(docker.count(name, "sleep 1000 "), 0)
    docker.eventually(function()
      local sessions = docker.api("GET", "/containers/" .. name .. "/json").ExecIDs
      return type(sessions) ~= "table" or #sessions <= 1 -- the files' shell is kept while tutti lives
    end, "no exec session is left")
  end)
  t.it("a session ends with tutti, whatever ends it", function()
    local name = docker.container()
    t.tutti { "on", "docker://" .. name, "--", "true" }
    local script = t.tmpdir() .. "/a.lua"
    t.write(script, ([[
      local env = require "tutti".docker %q
      env:write("/tmp/f", "x")
      env:run "sleep 4000" ]]):format(name))
    local p = tutti.here:spawn { os.getenv "TUTTI", "run", script, stdin = false }
    docker.eventually(function() return docker.count(name, "sleep 4000") > 0 end, "the command runs")
    p:kill "INT"
    t.eq(p:wait().code, 130)
    docker.eventually(function()
      local sessions = docker.api("GET", "/containers/" .. name .. "/json").ExecIDs
      return type(sessions) ~= "table" or #sessions == 0
    end, "no exec session is left")
    t.eq(docker.count(name, "sleep 4000"), 0)
  end)
  t.it("tutti on takes it as a target", function()
    local name = docker.container()
    local r = t.tutti { "on", "docker://" .. name, "--", "cat", "/etc/hostname" }
    t.eq(r.code, 0)
    t.eq(#r.stdout, 13)
    t.eq(t.tutti { "on", "docker://" .. name, "--", "exit 3" }.code, 1)
  end)
end)

t.describe("the daemon", function()
  t.it("that is not there is connect", function()
    local r = tutti.docker { container = "x", host = "unix:///no/such/socket" }:try "true"
    t.eq({ r.ok, r.kind }, { false, "connect" })
  end)
  t.it("that hangs costs no more than the timeout, and nothing runs afterwards", function()
    local name = docker.container()
    local env = tutti.docker(name)
    env:run "true"
    docker.support "hang"
    t.cleanup(function() docker.support "resume" end)
    local from = tutti.now()
    local r = env:try { "sleep", "5000", timeout = "1s" }
    t.between(tutti.now() - from, 1, 20, "bounded")
    t.no(r.ok)
    t.ok(r.kind == "timeout" or r.kind == "lost", r.kind)
    docker.support "resume"
    t.eq(env:run "echo again".stdout, "again\n")
    t.eq(docker.count(name, "sleep 5000"), 0)
  end)
  t.it("that hangs in the middle of a command makes it lost, in bounded time", function()
    local name = docker.container()
    local p = tutti.docker(name):spawn { sh = "echo started; sleep 1000", timeout = "1500ms" }
    t.eq(p:lines()(), "started")
    docker.support "hang"
    t.cleanup(function() docker.support "resume" end)
    local r = p:wait()
    t.between(r.duration, 1.5, 30, "bounded")
    t.eq({ r.ok, r.code }, { false })
    t.ok(r.kind == "lost" or r.kind == "timeout", r.kind)
  end, { timeout = 90 })
  t.it("restarted in the middle of a command makes it lost, and is found again", function()
    local name = docker.container()
    local env = tutti.docker(name)
    local p = env:spawn "echo started; sleep 1000"
    t.eq(p:lines()(), "started")
    docker.support "restart"
    local r = p:wait()
    t.eq({ r.ok, r.kind, r.code }, { false, "lost" })
    t.eq(env:run "echo again".stdout, "again\n")
  end, { timeout = 120 })
end)

t.done()
