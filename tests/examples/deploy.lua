-- scripts/examples/deploy.lua, as people run it.
local t = require "spec"
local tutti = require "tutti"

local top = os.getenv "TUTTI_TOP"

-- A copy of the examples, so that a run leaves nothing in the tree; what it left running is stopped.
local function local_site()
  local dir = t.tmpdir()
  tutti.here:run { "cp", "-r", top .. "/scripts/examples/deploy.lua",
    top .. "/scripts/examples/greeter", dir }
  t.cleanup(function()
    for _, place in ipairs { "staging", "production" } do
      tutti.here:run { dir .. "/greeter/release", "stop", dir .. "/build/" .. place }
    end
  end)
  return dir
end

-- A server that was started in the background tells its port when it listens.
local function listening(env, place)
  local stop = tutti.now() + 10
  while not env:stat("build/" .. place .. "/port") do
    if tutti.now() > stop then error("no server listens in " .. place, 2) end
    tutti.sleep "20ms"
  end
end

local function get(dir, place, path)
  listening(tutti.here:with { cwd = dir }, place)
  local port = tutti.here:read(dir .. "/build/" .. place .. "/port"):gsub("%s", "")
  return tostring(tutti.here:run { dir .. "/build/get", port, path })
end

t.describe("the deploy example", function()
  t.it("builds, stages, verifies and promotes", function()
    local dir = local_site()
    local r = t.tutti { "run", dir .. "/deploy.lua", "--json", cwd = dir }
    t.eq(r.code, 0, r.stderr)
    local doc = r:json()
    for _, task in ipairs(doc.tasks) do
      t.eq(task.status, "completed", task.id)
    end
    t.eq(get(dir, "production", "/version"), "1.0.0")
    t.no(tutti.here:stat(dir .. "/build/staging/pid"), "staging was stopped")
  end, { timeout = 120 })

  t.it("rolls a broken release back to the one before", function()
    local dir = local_site()
    t.eq(t.tutti { "run", dir .. "/deploy.lua", "--quiet", cwd = dir }.code, 0)
    local r = t.tutti { "run", dir .. "/deploy.lua", "-p", "version=2.0.0", "-p", "break=true",
      "--json", cwd = dir }
    t.eq(r.code, 1)
    local status = {}
    for _, task in ipairs(r:json().tasks) do
      status[task.id] = task.status
    end
    t.eq(status.stage, "rolled_back")
    t.eq(status.verify, "failed")
    t.eq(status.promote, "skipped")
    t.eq(get(dir, "production", "/version"), "1.0.0")
    t.eq(get(dir, "staging", "/version"), "1.0.0", "staging went back, too")
    t.has(r.stderr, 'GET /greet?you: expected "hello, you", got "goodbye, you"')
  end, { timeout = 120 })
end)


-- The same file, built here and deployed to two SSH hosts: what runs there is asked from outside.
local function hosts()
  local user, port = os.getenv "TUTTI_TEST_SSH_USER", os.getenv "TUTTI_TEST_SSH_PORT"
  local far = { dir = t.tmpdir(), env = {} }
  tutti.here:run { "cp", "-r", top .. "/scripts/examples/deploy.lua", top .. "/scripts/examples/greeter",
    far.dir }
  for place, address in pairs { staging = "127.0.0.2", production = "127.0.0.3" } do
    local target = ("ssh://%s@%s:%s"):format(user, address, port)
    far.env[place:upper()] = target
    far[place] = tutti.env(target)
  end
  -- both are this machine, and one user's home
  local function clean()
    for _, place in ipairs { "staging", "production" } do
      far.staging:run("[ ! -e greeter/release ] || greeter/release stop build/%s", place)
    end
    far.staging:run "rm -rf build greeter"
  end
  clean()
  t.cleanup(clean)
  function far.run(...)
    return t.tutti { "run", far.dir .. "/deploy.lua", "--json", cwd = far.dir, env = far.env, ... }
  end
  function far.version(place)
    listening(far[place], place)
    return tostring(far[place]:run("build/get \"$(cat build/%s/port)\" /version", place))
  end
  return far
end

local function statuses(result)
  local status, environment = {}, {}
  for _, task in ipairs(result:json().tasks) do
    status[task.id], environment[task.id] = task.status, task.environment
  end
  return status, environment
end

t.describe("the deploy example on ssh hosts", function()
  if not os.getenv "TUTTI_TEST_SSH_PORT" then return end -- its skip is the suite's

  t.it("builds here, and stages, verifies and promotes there", function()
    local far = hosts()
    local r = far.run()
    t.eq(r.code, 0, r.stderr)
    local status, environment = statuses(r)
    for id, word in pairs(status) do t.eq(word, "completed", id) end
    t.eq(environment.server, "local:")
    t.eq(environment.stage, far.env.STAGING)
    t.eq(environment.promote, far.env.PRODUCTION)
    t.eq(far.version "production", "1.0.0")
    t.eq(far.staging:stat "build/staging/pid", nil, "staging was stopped")
    t.eq(tutti.here:stat(far.dir .. "/build/staging"), nil, "nothing was deployed here")
  end, { timeout = 120 })

  t.it("rolls a broken release back there", function()
    local far = hosts()
    t.eq(far.run().code, 0)
    local r = far.run("-p", "version=2.0.0", "-p", "break=true")
    t.eq(r.code, 1)
    local status, environment = statuses(r)
    t.eq({ status.server, status.stage, status.verify, status.promote },
      { "completed", "rolled_back", "failed", "skipped" })
    t.eq(environment.stage, far.env.STAGING)
    t.match(r.stderr, "GET /greet[^:]*: expected \"hello, [^\"]*\", got \"goodbye, ")
    t.eq(far.version "staging", "1.0.0", "staging went back")
    t.eq(far.version "production", "1.0.0", "production was not touched")
  end, { timeout = 120 })
end)

t.done()
