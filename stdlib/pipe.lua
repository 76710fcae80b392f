-- a:pipe(b): what a prints is b's stdin, as fast as b takes it. Goes on by itself until a's stdout
-- ends; when b stops reading, a gets SIGPIPE as in a shell's pipeline.

local host = require "tutti.host"

-- Does one step on b; false when b no longer reads.
local function feed(step, to, chunk)
  local ok, err = pcall(step, to, chunk)
  if not ok and err.kind ~= "io" then
    error(err, 0)
  end
  return ok
end

local function carry(from, to)
  local ok, chunk = pcall(from.read, from)
  while ok and chunk do
    if not feed(to.write, to, chunk) then
      from:kill "PIPE"
      return
    end
    ok, chunk = pcall(from.read, from)
  end
  if not ok then -- b must not take what it got so far for the whole
    to:kill "TERM"
    error(chunk, 0)
  end
  feed(to.close_stdin, to)
end

return function(from, to)
  host.background(carry, from, to)
end
