-- A container of one's own: commands, input, a timeout, files, an API call, an image without a shell.
local fault = require "fault"
local tutti = require "tutti"

fault.scenario(function()
  local env = tutti.docker { image = "box:local" }
  local wrote = env:run "printf 'one\\ntwo\\n'; printf err >&2"
  local code = env:try "exit 7"
  local echoed = env:run { "cat", stdin = ("0123456789"):rep(20000) }
  local slow = env:try { "sleep", "30", timeout = "300ms", grace = "200ms" }
  env:write("/tmp/a", "content")
  local read = env:read "/tmp/a"
  local bare = tutti.docker { image = "noshell:local" }
  local words = bare:run { "/echo", "a b" }
  local killed = bare:try { "/sleep", "30", timeout = "300ms", grace = "200ms" }
  local images = tutti.docker.images()
  local seen = tutti.docker.inspect(env).State.Running
  return function()
    fault.claim(wrote.ok and wrote.stdout == "one\ntwo\n" and wrote.stderr == "err", "output is not what was written")
    fault.claim(not code.ok and (code.kind ~= "exit" or code.code == 7), "exit 7 was reported as something else")
    fault.claim(echoed.stdout == ("0123456789"):rep(20000), "input came back changed")
    fault.claim(not slow.ok and not killed.ok, "a timeout was reported as success")
    fault.claim(read == "content", "a file's content changed")
    fault.claim(words.stdout == "a b\n", "words changed")
    fault.claim(#images > 0 and seen, "the daemon was misread")
  end
end)
