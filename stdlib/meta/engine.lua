---@meta
-- require "tutti.engine": what the command line asks of a workflow. Internal to the binary.
-- Everything raises a tutti.Error of kind `invalid` for what is wrong in the script, its graph or the
-- arguments: nothing has begun then.

local engine = {}

---@class tutti.engine.Options
---@field params? table<string, string|number|boolean> read by their declared types; nil is not checked for missing ones
---@field only? string[] tasks or matrix names: those and all that they need
---@field jobs? integer
---@field state? string directory, ".tutti" unless given; made when something must be kept
---@field rollback? boolean false: nothing is compensated
---@field output? boolean false: no "output" events

---@return boolean
function engine.is_flow(value) end

---The name of a workflow that was declared and that nobody asked about. Each is named once.
---@return string?
function engine.forgotten() end

---@param options? tutti.engine.Options
---@return true
function engine.check(flow, options) end

---{ name, description, file, line, count, on_failure, rollback, jobs, params = { { name, type,
---required, default, choices, description }, … sorted by name } }
---@return table
function engine.info(flow) end

---A task by its place in the order of declaration, from 1 on: { index, id, file, line, description,
---environment, cwd, user, form, run, needs, after (places), when, timeout, deadline (seconds),
---retries, idempotent, health, rollback (texts), input, output (patterns), env (names), matrix }
---@param index integer
---@return table
function engine.task(flow, index) end

---The places of the tasks in the order in which they would start one at a time.
---@param options? tutti.engine.Options
---@return integer[]
function engine.order(flow, options) end

---Of each task, how many steps it is from a task that needs nothing.
---@return integer[]
function engine.levels(flow) end

---Runs it and waits. Returns whatever became of the tasks; interrupting the program stops the run,
---and this returns when all that ran was stopped and compensated. `listen(events, n)` is called with
---what happened since the last call (the fields are in lua/flow/events.c); it must not wait.
---@param options tutti.engine.Options
---@param listen? fun(events: table[], n: integer)
---@return tutti.engine.Outcome
function engine.run(flow, options, listen) end

---The document of `run --json` with absent fields left out, and more for people:
---@class tutti.engine.Outcome
---@field workflow string
---@field run string
---@field status "completed"|"failed"|"cancelled"
---@field started_at string
---@field duration_s number
---@field tasks table[] id status attempts environment started_at duration_s exit_code error rollback output artifacts; index peak_memory cpu_s log log_incomplete stdout stderr
---@field counts table<string, integer> tasks by status
---@field jobs integer
---@field causes table[] what failed, the first cause first: task kind message rollback stdout stderr log traceback
---@field critical_path string[]
---@field critical_s number
---@field peak_memory? integer bytes, the largest of a task
---@field path? string STATE/runs/RUN; nil when nothing was kept
local Outcome = {}

---The document's text, on one line, secrets masked.
---@return string
function Outcome:json() end

return engine
