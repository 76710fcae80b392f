-- The command line: finds the command, runs it, and turns what went wrong into one message and the
-- right exit code. lua/main.c calls main in a coroutine, so that everything here may await.

local host = require "tutti.host"
local text = require "tutti.text"

local cli = {}

-- Commands in the order of `tutti help`; each is the module of that name below.
cli.commands = { "run", "check", "graph", "on", "help", "version" }

local modules = {
  run = "tutti.cli.run",
  check = "tutti.cli.check",
  graph = "tutti.cli.graph",
  on = "tutti.cli.on",
  help = "tutti.cli.help",
  version = "tutti.cli.help",
}
local same = { ["--help"] = "help", ["-h"] = "help", ["--version"] = "version", ["-V"] = "version" }

-- What a person is told about an error: its message, what a failed command said, and where the script
-- was; a refusal names its line already, and nobody made a mistake where something was interrupted.
local function describe(err)
  if type(err) ~= "table" then
    return tostring(err)
  end
  local parts = { host.error_text(err) }
  local result = type(err.result) == "userdata" and err.result -- a user's own error may have anything
  for _, line in ipairs(text.last_lines(result and result.stderr)) do
    parts[#parts + 1] = "  | " .. line
  end
  if type(err.traceback) == "string" and err.kind ~= "invalid" and err.kind ~= "cancelled" then
    parts[#parts + 1] = err.traceback
  end
  return table.concat(parts, "\n")
end

local function complain(err)
  io.stderr:write("tutti: ", (describe(err):gsub("\n*$", "")), "\n")
end

local function dispatch(argv)
  local name = argv[1]
  if name == nil then
    require("tutti.cli.help").overview(io.stderr)
    return 2
  end
  name = same[name] or name
  local module = modules[name]
  if not module then
    local near = text.suggest(name, cli.commands)
    error(text.invalid("there is no command %q%s (tutti help lists them)", name,
      near and (", did you mean %s?"):format(near) or ""), 0)
  end
  local rest = table.move(argv, 2, #argv, 1, {})
  if rest[1] == "--help" or rest[1] == "-h" then
    name, module, rest = "help", "tutti.cli.help", { name }
  end
  return require(module)[name](rest)
end

-- Runs one command line; returns the exit code. 2 says that nothing had been started.
function cli.main(argv)
  local ok, result = pcall(dispatch, argv)
  if ok then
    return result
  end
  if host.exiting() then
    return 0 -- os.exit's code is the process's
  end
  complain(result)
  return host.operations_started() and 1 or 2
end

return cli
