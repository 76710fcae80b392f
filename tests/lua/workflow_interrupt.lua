-- Signals to a running workflow: the first stops and compensates, the second ends at once.
local t = require "spec"
local tutti = require "tutti"

local script = [[
local tutti = require "tutti"
local flow = tutti.workflow "interrupted"
flow.task "before" { run = "true", rollback = "%s" }
flow.task "long" { needs = "before", run = "echo $$ >pid; exec sleep 60", rollback = "echo long >>undone" }
flow.task "after" { needs = "long", run = "echo after >>undone" }
return flow
]]

local function wait_for(path)
  for _ = 1, 500 do
    if t.exists(path) then
      return t.slurp(path)
    end
    tutti.sleep "10ms"
  end
  error("no " .. path)
end

-- Runs the script, and sends the signals once the long task runs; the result and the folder.
local function interrupted(signals, rollback)
  local dir = t.tmpdir()
  t.write(dir .. "/flow.lua", script:format(rollback or "echo before >>undone"))
  local p = tutti.here:spawn { os.getenv "TUTTI", "run", "--json", "--state", dir .. "/state",
    dir .. "/flow.lua", stdin = false }
  local pid = tonumber(wait_for(dir .. "/pid"))
  for i, signal in ipairs(signals) do
    if i > 1 then
      wait_for(dir .. "/undoing")
    end
    p:kill(signal)
  end
  local output = {}
  for line in p:lines() do
    output[#output + 1] = line
  end
  local result = p:wait()
  t.no(t.exists(("/proc/%d/stat"):format(pid)), "the command still runs")
  return result, dir, table.concat(output)
end

t.describe("an interruption", function()
  for signal, code in pairs { INT = 130, TERM = 143, HUP = 129 } do
    t.it("by " .. signal .. " stops what runs, rolls back and exits " .. code, function()
      local result, dir, output = interrupted { signal }
      t.eq(result.code, code)
      t.eq(t.slurp(dir .. "/undone"), "long\nbefore\n")
      local document = tutti.json.decode(output)
      t.eq(document.status, "cancelled")
      t.eq(document.tasks[1].status, "rolled_back")
      t.eq(document.tasks[2].status, "cancelled")
      t.eq(document.tasks[2].rollback.status, "rolled_back")
      t.eq(document.tasks[3].status, "cancelled")
    end)
  end

  t.it("reaches a function that never comes back to the loop", function()
    local dir = t.tmpdir()
    t.write(dir .. "/flow.lua", [[
      local tutti = require "tutti"
      local flow = tutti.workflow "runaway"
      flow.task "before" { run = "true", rollback = "echo before >>undone" }
      flow.task "loops" { needs = "before", rollback = "echo loops >>undone", run = function(ctx)
        ctx.env:write("looping", "")
        while true do pcall(function() while true do end end) end
      end }
      return flow]])
    local p = tutti.here:spawn { os.getenv "TUTTI", "run", "--state", dir .. "/state", dir .. "/flow.lua",
      stdin = false, timeout = "20s" }
    wait_for(dir .. "/looping")
    p:kill "INT"
    t.eq(p:wait().code, 130)
    t.eq(t.slurp(dir .. "/undone"), "loops\nbefore\n")
  end)

  t.it("that comes twice ends at once and leaves no process", function()
    local result, dir = interrupted({ "INT", "INT" }, "echo $$ >undoing; exec sleep 6000")
    t.eq(result.code, 130)
    local pid = tonumber(t.slurp(dir .. "/undoing"))
    for _ = 1, 300 do
      if not t.exists(("/proc/%d/stat"):format(pid)) then
        return
      end
      tutti.sleep "10ms"
    end
    error "the rollback still runs"
  end)
end)

t.done()
