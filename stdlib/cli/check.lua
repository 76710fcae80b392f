-- tutti check FILE: loads the workflow and checks its graph; runs nothing.

local load_script = require "tutti.cli.load"
local options = require "tutti.cli.options"
local text = require "tutti.text"

local check = {}

check.options = {
  param = { short = "p", value = "name=value", many = true, about = "a parameter of the workflow" },
}

-- { "a=1", "b=2" } → { a = "1", b = "2" }, or nil for none.
function check.params(command, list)
  local params
  for _, pair in ipairs(list or {}) do
    local name, value = pair:match "^([^=]+)=(.*)$"
    if not name then
      error(text.invalid("tutti %s: -p takes name=value, not %q", command, pair), 0)
    end
    params = params or {}
    if params[name] then
      error(text.invalid("tutti %s: parameter %s is given twice", command, name), 0)
    end
    params[name] = value
  end
  return params
end

function check.check(argv)
  local opts, words = options.parse("check", check.options, argv)
  local file = load_script.only_file("check", words)
  local engine = require "tutti.engine"
  local flow = load_script.flow(file, words.rest, "check")
  engine.check(flow, { params = check.params("check", opts.param) })
  local info = engine.info(flow)
  io.stdout:write(("%s: workflow %s, %s: ok\n"):format(file, info.name,
    text.count(info.count, "task")))
  return 0
end

return check
