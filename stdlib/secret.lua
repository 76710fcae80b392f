-- tutti.secret{ env= | file= | command= | prompt= }: a value that reaches commands by environment,
-- stdin or password, and nothing else.
--
--   env      the name of an environment variable of this process
--   file     a file here; its last newline is dropped
--   command  a shell line or an argv here; what it prints, without its last newline
--   prompt   what to ask a person on the terminal; typed unseen
--
-- While a file is only looked at (check, graph, --dry-run) no source is touched.

local host = require "tutti.host"
local text = require "tutti.text"

local sources = {}

function sources.env(name)
  local value = os.getenv(name)
  if not value then
    host.raise(text.invalid("tutti.secret: the environment variable %s is not set", name))
  end
  return value
end

function sources.file(path)
  return (require("tutti").here:read(path):gsub("\r?\n$", ""))
end

function sources.command(command)
  return (require("tutti").here:run(command).stdout:gsub("\r?\n$", ""))
end

sources.prompt = host.ask

return function(options)
  local kind, source
  if type(options) ~= "table" then
    host.raise(text.invalid("tutti.secret takes a table like { env = \"NAME\" }, got a %s",
      type(options)))
  end
  for name, value in pairs(options) do
    if not sources[name] then
      local near = text.suggest(tostring(name), { "env", "file", "command", "prompt" })
      host.raise(text.invalid("tutti.secret: unknown option '%s'%s", name,
        near and (", did you mean '%s'?"):format(near) or ""))
    elseif kind then
      host.raise(text.invalid("tutti.secret: one of env, file, command, prompt; not both %s and %s",
        kind, name))
    elseif type(value) ~= "string" and not (name == "command" and type(value) == "table") then
      host.raise(text.invalid("tutti.secret: option '%s' must be a string, got a %s", name,
        type(value)))
    end
    kind, source = name, value
  end
  if not kind then
    host.raise(text.invalid "tutti.secret: one of env, file, command, prompt is needed")
  elseif host.forbidden() then
    return host.secret "only looked at"
  end
  return host.secret(sources[kind](source))
end
