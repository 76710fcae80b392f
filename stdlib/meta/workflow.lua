---@meta
-- Workflows: tutti.workflow, its tasks, and what their functions are called with.

---A number of seconds, or text like "250ms", "5s", "2m", "1h30m".
---@alias tutti.Duration number|string

---What is done: a line for the environment's shell, the words of a command, or a function.
---@alias tutti.Action string|string[]|tutti.Function|fun(ctx: tutti.Context): any

---@class tutti.WorkflowOptions
---@field description? string
---@field on_failure? "cancel"|"wait"|"continue" what becomes of the other tasks when one fails for good: those that run are cancelled (the default), go on to their end, or all that does not need it goes on
---@field rollback? "all"|"failed"|"none" which tasks are compensated when the run fails or is interrupted: every one that started (the default), only those that failed, none
---@field jobs? integer tasks at once; the default is max(8, 2 × CPUs), and `-j` wins over both

---@param name string
---@param options? tutti.WorkflowOptions
---@return tutti.Workflow
function tutti.workflow(name, options) end

---A script ends with `return flow`; `tutti run` runs it.
---@class tutti.Workflow
---@field name string
local Workflow = {}

---Declares a task: `flow.task "build" { run = "make" }`. A function, not a method, so that it can be
---kept: `local task = flow.task`. `task("build", { … })` is the same.
---@param name string unique in the workflow
---@param spec? tutti.TaskOptions
---@return fun(spec: tutti.TaskOptions)
function Workflow.task(name, spec) end

---Declares parameters, given on the command line with `-p name=value`. Commands see them as
---environment variables PARAM_name, functions in ctx.params. One that is not given and has no
---default does not exist for either.
---@param params table<string, tutti.ParamOptions>
function Workflow:params(params) end

---Names a function while the file loads, so that tasks added by a running function can use it.
---@param name string
---@param f fun(ctx: tutti.Context): any
---@return tutti.Function handle for `run`, `when`, `rollback` and `health`
function Workflow:fn(name, f) end

---@class tutti.Function

---@class tutti.ParamOptions
---@field type? "string"|"number"|"integer"|"boolean" "string" unless given
---@field default? any
---@field required? boolean
---@field choices? any[] the only values that are allowed
---@field description? string

---@class tutti.TaskOptions
---@field run? tutti.Action what it does; without it the task only gathers what it needs; a function's value must be plain data (it becomes the task's result)
---@field on? tutti.Environment|string where; this machine unless given
---@field cwd? string its directory; here the script's unless given (a relative one is taken from there), elsewhere the environment's
---@field env? table<string, string|number|tutti.Secret> variables of its commands
---@field user? string who its commands run as
---@field needs? string|string[] tasks that must have succeeded; a matrix's name means all its instances
---@field after? string|string[] tasks that must have ended, whatever became of them
---@field when? boolean|fun(ctx: tutti.Context): any false or nil skips the task, and those that need it
---@field timeout? tutti.Duration of one attempt, from its input to its output
---@field deadline? tutti.Duration of the whole task, from its first attempt on
---@field retries? integer tries after the first
---@field backoff? tutti.Duration|tutti.Backoff the wait before a retry: always the same, or growing; { first = "1s", factor = 2, max = "1m", jitter = 0.25 } unless given
---@field idempotent? boolean running it twice does no harm: an attempt that was lost is tried again, too
---@field health? tutti.Action|tutti.Health checked after `run` succeeded; the task is not complete before it passes
---@field rollback? tutti.Action|tutti.Rollback how to undo it, on the environment that it ran in
---@field input? string|string[] patterns of artifacts of tasks before it, laid out in its directory first
---@field output? string|string[] patterns of files in its directory that are collected as artifacts when it succeeded
---@field matrix? table<string, (string|number|boolean)[]> one task for each combination: test[os=linux,v=1]; commands see MATRIX_name, functions ctx.matrix
---@field grace? tutti.Duration between TERM and KILL when its command is stopped; 2 s unless given
---@field description? string

---@class tutti.Backoff
---@field first? tutti.Duration
---@field factor? number each wait is the last one's this many times
---@field max? tutti.Duration
---@field jitter? number 0 … 1: up to this part of each wait is taken off at random

---A command passes with exit code 0. A function passes unless it raises, or returns false or nil
---(returning nothing passes).
---@class tutti.Health
---@field run tutti.Action
---@field retries? integer checks after the first; 0 unless given
---@field interval? tutti.Duration between two checks; 1 s unless given
---@field timeout? tutti.Duration of each check

---@class tutti.Rollback
---@field run tutti.Action
---@field timeout? tutti.Duration

---What a task's function is called with. Valid until the function has ended.
---@class tutti.Context
---@field params table<string, any>
---@field results table<string, any> of the tasks before this one, by name: a function's value or a command's result; nil for one without; naming another task is an error
---@field env tutti.Environment the task's `on`, with its cwd, env and user
---@field task string the task's name
---@field attempt integer 1 for the first
---@field flow tutti.Workflow only `task`: while `run` runs, adds tasks to the graph; they join together when it returns, and are dropped if it fails
---@field matrix? table<string, string|number|boolean>
