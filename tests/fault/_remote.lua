-- What is done, and then verified, in an environment that is not this machine.
local fault = require "fault"

return function(env)
  fault.scenario(function()
    -- nobody else's; tests/support/fault-run removes what is left of it
    local name = "tutti-" .. os.getenv "TUTTI_TEST_FAULT_RUN":match "[^/]+$"
    local mark, file = "/tmp/" .. name .. ".ran", "/tmp/" .. name .. ".file"
    local dir = fault.dir()

    local wrote = env:run("printf 'one\\ntwo\\n'; printf err >&2; echo x >> %s", mark)
    local code = env:try "exit 7"
    local missing = env:try { "/no/such/command" }
    local bad_cwd = env:try { "touch", mark .. ".cwd", cwd = "/no/such/folder" }
    local echoed = env:run { "cat", stdin = ("0123456789"):rep(20000) }
    local large = env:run "head -c 300000 /dev/zero"
    local slow = env:try { "sleep", "30", timeout = "300ms", grace = "100ms" }
    local p = env:spawn { "cat" }
    p:write "line\n"
    p:close_stdin()
    local lines = {}
    for line in p:lines() do lines[#lines + 1] = line end
    local piped = p:wait()

    env:write(file, "content")
    local content = env:read(file)
    local info = env:stat(file)
    local found = env:glob("/tmp/" .. name .. ".f*")
    local f <close> = assert(io.open(dir .. "/up", "wb"))
    assert(f:write(("bytes"):rep(250000)) and f:flush())
    env:upload(dir .. "/up", file .. ".up")
    env:download(file .. ".up", dir .. "/down")
    require "tutti".here:run("mkdir -p %s && echo tree >%s && ln -s f %s", dir .. "/tree/sub", dir .. "/tree/sub/f",
      dir .. "/tree/sub/link")
    env:upload(dir .. "/tree", file .. ".tree")
    env:download(file .. ".tree", dir .. "/leaf")
    env:remove(file .. ".up")
    env:remove(file .. ".tree", { recursive = true })
    local gone = env:stat(file .. ".up")
    local ran = env:read(mark)
    local cwd_mark = env:stat(mark .. ".cwd")
    env:run("rm -f %s %s", mark, file)

    return function()
      fault.claim(wrote.stdout == "one\ntwo\n" and wrote.stderr == "err", "output is not what was written")
      fault.claim(ran == "x\n", "a command ran not once: " .. tostring(ran))
      fault.claim(not code.ok and (code.kind ~= "exit" or code.code == 7), "exit 7 was reported as something else")
      fault.claim(not missing.ok, "a missing command was reported as success")
      fault.claim(not bad_cwd.ok and not cwd_mark, "a command ran in spite of its directory")
      fault.claim(echoed.stdout == ("0123456789"):rep(20000), "cat gave other bytes back")
      fault.claim(#large.stdout == 300000, "bytes were lost")
      fault.claim(not slow.ok and slow.duration < 25, "a command outlived its timeout")
      fault.claim(not piped.ok or table.concat(lines, "|") == "line", "a stream lost lines")
      fault.claim(content == "content" and info.size == 7 and #found == 1, "a file is not what was written")
      fault.claim(fault.read(dir .. "/down") == ("bytes"):rep(250000), "what was uploaded did not come back")
      fault.claim(fault.read(dir .. "/leaf/sub/link") == "tree\n", "a tree did not come back")
      fault.claim(not gone, "a removed file is still there")
    end
  end)
end
