-- scripts/examples/deploy.lua, as people run it.
local t = require "spec"
local tutti = require "tutti"

local top = os.getenv "TUTTI_TOP"

-- A copy of the examples, so that a run leaves nothing in the tree; what it left running is stopped.
local function site()
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

local function get(dir, place, path)
  local port = tutti.here:read(dir .. "/build/" .. place .. "/port"):gsub("%s", "")
  return tostring(tutti.here:run { dir .. "/build/get", port, path })
end

t.describe("the deploy example", function()
  t.it("builds, stages, verifies and promotes", function()
    local dir = site()
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
    local dir = site()
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

t.done()
