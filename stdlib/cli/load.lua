-- Loads the user's script: main chunk, `arg`, `require` beside it.

local host = require "tutti.host"
local text = require "tutti.text"

local load_script = {}

-- Runs the file as a main chunk and returns what it returned. With `why`, every operation on an
-- environment is refused meanwhile: "… while the file is loaded for <why>".
function load_script.file(path, arguments, why)
  local file, reason = io.open(path, "rb")
  if not file then
    error(text.invalid("cannot read %s", reason), 0)
  end
  local source, broken = file:read "a"
  file:close()
  if not source then
    error(text.invalid("cannot read %s: %s", path, broken), 0)
  end
  arg = table.move(arguments or {}, 1, #(arguments or {}), 1, { [0] = path }) -- luacheck: ignore
  host.script(path)
  source = source:gsub("^\239\187\191", ""):gsub("^#[^\n]*", "")
  local chunk, mistake = load(source, "@" .. path)
  if not chunk then
    error(text.invalid("%s", mistake), 0)
  end
  if not why then
    return host.program(chunk, table.unpack(arg))
  end
  host.forbid(("while the file is loaded for %s"):format(why))
  local results = table.pack(pcall(host.program, chunk, table.unpack(arg)))
  host.forbid(nil)
  if not results[1] then
    error(results[2], 0)
  end
  return table.unpack(results, 2, results.n)
end

-- The same for a file that must return a workflow.
function load_script.flow(path, arguments, why)
  local flow = load_script.file(path, arguments, why)
  if not require("tutti.engine").is_flow(flow) then
    error(text.invalid("%s returns %s, not a workflow: end it with `return flow`", path,
      flow == nil and "nothing" or "a " .. type(flow)), 0)
  end
  return flow
end

-- The one file that a command takes.
function load_script.only_file(command, words)
  if #words ~= 1 then
    error(text.invalid("tutti %s takes one file, not %s", command,
      #words == 0 and "none" or text.count(#words, "word")), 0)
  end
  return words[1]
end

return load_script
