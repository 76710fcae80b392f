-- all, map, race, timeout.
local t = require "spec"
local tutti = require "tutti"

-- A function that sleeps, then returns or fails, and says in `log` when it was cancelled.
local function job(log, name, ms, failure)
  return function()
    local done = false
    local _ <close> = setmetatable({}, { __close = function()
      if not done then
        tutti.sleep "2ms"
        log[#log + 1] = name
      end
    end })
    tutti.sleep(ms / 1000)
    done = true
    if failure then error(failure, 0) end
    return name
  end
end

t.describe("all", function()
  t.it("runs at once and returns in input order", function()
    local began = 0
    local function meets(name, ms)
      return function()
        began = began + 1
        while began < 3 do tutti.sleep "1ms" end
        return job({}, name, ms)()
      end
    end
    t.eq(tutti.all { meets("a", 60), meets("b", 10), meets("c", 30) }, { "a", "b", "c", n = 3 })
  end)
  t.it("keeps the places of functions that return nothing", function()
    t.eq(tutti.all { function() end, function() return 2 end, function() end }, { [2] = 2, n = 3 })
    t.eq(tutti.all {}, { n = 0 })
  end)
  t.it("the first error cancels the rest, waits for them, and is raised", function()
    local log = {}
    local e = t.raises(nil, tutti.all, { job(log, "a", 1000), job(log, "b", 5, { "mine" }), job(log, "c", 1000) })
    t.eq(e, { "mine" })
    table.sort(log)
    t.eq(log, { "a", "c" })
  end)
  t.it("collects every outcome when asked", function()
    local r = tutti.all({ job({}, "a", 1), job({}, "b", 1, { "mine" }), job({}, "c", 1) }, { errors = "collect" })
    t.eq(r, { { ok = true, value = "a" }, { ok = false, error = { "mine" } }, { ok = true, value = "c" }, n = 3 })
  end)
  t.it("refuses what is no list of functions", function()
    t.raises("invalid", tutti.all)
    t.raises("invalid", tutti.all, { 1 })
    t.raises("invalid", tutti.all, { a = function() end })
    t.raises("invalid", tutti.all, { [2] = function() end })
    t.match(t.raises("invalid", tutti.all, {}, { parallell = 2 }).message, "did you mean 'parallel'")
    t.raises("invalid", tutti.all, {}, { parallel = 0 })
    t.raises("invalid", tutti.all, {}, { errors = "ignore" })
  end)
end)

t.describe("map", function()
  t.it("gives the item and its place", function()
    t.eq(tutti.map({ "x", "y" }, function(item, i) return item .. i end), { "x1", "y2", n = 2 })
  end)
  t.it("runs no more than `parallel` at once, and starts in order", function()
    local running, most, started, items = 0, 0, {}, {}
    for i = 1, 50 do items[i] = i end
    local r = tutti.map(items, function(i)
      started[#started + 1] = i
      running = running + 1
      most = math.max(most, running)
      tutti.sleep(math.random(0, 3) / 1000)
      running = running - 1
      return i * 2
    end, { parallel = 7 })
    t.eq(most, 7)
    t.eq(started, items)
    t.eq(r[50], 100)
    t.eq(r.n, 50)
  end)
  t.it("starts nothing more after a failure", function()
    local started = 0
    t.raises("script", tutti.map, { 1, 2, 3, 4, 5 }, function(i)
      started = started + 1
      tutti.sleep "1ms"
      if i == 2 then error "no" end
    end, { parallel = 2 })
    t.ok(started <= 3, started)
  end)
  t.it("takes a hundred thousand items in little memory", function()
    local items = {}
    for i = 1, 100000 do items[i] = i end
    collectgarbage()
    local before = collectgarbage "count"
    local r = tutti.map(items, function(i) return i end, { parallel = 10 })
    collectgarbage()
    t.eq(r[100000], 100000)
    t.ok(collectgarbage "count" - before < 8000)
  end, { timeout = 300 })
  t.it("nests", function()
    local r = tutti.map({ 1, 2, 3 }, function(i)
      return tutti.map({ 10, 20 }, function(j) tutti.sleep "1ms" return i * j end)
    end)
    t.eq(r[3][2], 60)
  end)
  t.it("works on a table that the functions change meanwhile", function()
    local list = { 1, 2, 3 }
    t.eq(tutti.map(list, function(i) table.insert(list, 9) return i end), { 1, 2, 3, n = 3 })
  end)
end)

t.describe("race", function()
  t.it("gives all values of the first, cancels the others and waits for them", function()
    local log = {}
    local r = table.pack(tutti.race { job(log, "slow", 1000), function() tutti.sleep "5ms" return 1, nil, 3 end })
    t.eq(r, { 1, nil, 3, n = 3 })
    t.eq(log, { "slow" })
  end)
  t.it("raises when the first to finish failed", function()
    local log = {}
    t.raises("script", tutti.race, { job(log, "slow", 1000), function() error "first" end })
    t.eq(log, { "slow" })
  end)
  t.it("of nothing is refused", function()
    t.raises("invalid", tutti.race, {})
  end)
end)

t.describe("timeout", function()
  t.it("gives what the function returns in time", function()
    t.eq(table.pack(tutti.timeout("1s", function() tutti.sleep "1ms" return 1, 2 end)), { 1, 2, n = 2 })
  end)
  t.it("raises kind timeout at the deadline, after cleanup", function()
    local log, from = {}, tutti.now()
    local e = t.raises("timeout", tutti.timeout, "30ms", job(log, "late", 10000))
    t.between(tutti.now() - from, 0.03, 5)
    t.eq(log, { "late" })
    t.match(e.message, "timed out after 0%.03s")
  end)
  t.it("an inner one that is longer does not extend an outer one", function()
    local from = tutti.now()
    t.raises("timeout", tutti.timeout, "30ms", function()
      tutti.timeout("10s", function() tutti.sleep "10s" end)
    end)
    t.between(tutti.now() - from, 0.03, 9)
  end)
  t.it("ends a command", function()
    local from = tutti.now()
    t.raises("timeout", tutti.timeout, "50ms", function() tutti.here:run "sleep 30" end)
    t.between(tutti.now() - from, 0.05, 20)
  end)
  t.it("passes the function's own error", function()
    t.eq(t.raises(nil, tutti.timeout, "1s", function() error({ 1 }) end), { 1 })
    t.raises("invalid", tutti.timeout, "1s")
    t.raises("invalid", tutti.timeout, "soon", print)
  end)
end)

t.done()
