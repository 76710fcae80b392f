-- Commands on this machine: output, exit codes, signals, input, streams, a timeout.
local fault = require "fault"
local tutti = require "tutti"
local here = tutti.here

fault.scenario(function()
  local marker = fault.dir() .. "/ran"
  local wrote = here:run("printf 'one\\ntwo\\n'; printf err >&2; echo x >> %s", marker)
  local code = here:try "exit 7"
  local signal = here:try "kill -TERM $$"
  local missing = here:try { "/no/such/command" }
  local cwd = here:try { "true", cwd = "/no/such/folder" }
  local echoed = here:run { "cat", stdin = ("0123456789"):rep(20000) }
  local large = here:run "head -c 300000 /dev/zero"
  local limited = here:try { sh = "head -c 300000 /dev/zero", max_output = 1000 }
  local slow = here:try { "sleep", "30", timeout = "100ms", grace = "100ms" }
  local shown = here:run { sh = "stty -echo; echo ready; cat; echo end", pty = true, stdin = "typed\n" }
  local me = here:run "id -un"
  local named = here:run { "id", "-un", user = tostring(me) }
  -- its shell ends on TERM, and leaves a child that does not
  local group = here:try { sh = "(trap '' TERM; sleep 30) & wait", timeout = "100ms", grace = "200ms" }
  local p = here:spawn { "cat" }
  p:write "line\n"
  p:close_stdin()
  local lines = {}
  for line in p:lines() do lines[#lines + 1] = line end
  local piped = p:wait()
  return function()
    fault.claim(wrote.ok and wrote.stdout == "one\ntwo\n" and wrote.stderr == "err", "output is not what was written")
    fault.claim(fault.read(marker) == "x\n", "a command ran not once")
    fault.claim(not code.ok, "exit 7 was reported as success")
    fault.claim(code.kind ~= "exit" or code.code == 7, "exit 7 has another code")
    fault.claim(not signal.ok, "a killed shell was reported as success")
    fault.claim(not missing.ok and not cwd.ok, "what cannot start was reported as success")
    fault.claim(not echoed.ok or echoed.stdout == ("0123456789"):rep(20000), "cat gave other bytes back")
    fault.claim(not large.ok or #large.stdout == 300000, "bytes were lost")
    fault.claim(not limited.ok, "output over its limit was reported as success")
    fault.claim(not slow.ok and slow.duration < 20, "a command outlived its timeout")
    fault.claim(shown.stdout:find "ready" and shown.stdout:find "typed\r\nend", "a terminal lost what it showed")
    fault.claim(named.stdout == me.stdout, "a command ran as somebody else")
    fault.claim(not group.ok and group.duration < 20, "a group outlived its timeout")
    fault.claim(not piped.ok or table.concat(lines, "|") == "line", "a stream lost lines")
  end
end)
