-- Files on this machine: each operation that returned has had its effect.
local fault = require "fault"
local tutti = require "tutti"
local here = tutti.here

local dir = fault.dir()

local function put(name, text)
  local f <close> = assert(io.open(dir .. "/" .. name, "wb"))
  assert(f:write(text))
end

fault.scenario(function()
  put("old", "old")
  put("a.txt", "a")
  put("b.txt", "b")
  here:run("mkdir -p %s && printf deep > %s", dir .. "/tree/x/.hidden", dir .. "/tree/x/.hidden/file")
  here:run("ln -s file %s && cp -a %s %s", dir .. "/tree/x/.hidden/link", dir .. "/tree", dir .. "/gone")
  here:run("[ $(id -u) != 0 ] || chown 12:34 %s", dir .. "/old") -- the writer has to keep it

  -- a write that fails leaves what was there
  local replaced, why = pcall(here.write, here, dir .. "/old", "new", { mode = 384 })
  if not replaced then
    fault.honest(why)
    fault.claim(fault.read(dir .. "/old") == "old", "a failed write damaged the file")
    error(why, 0)
  end
  local data = here:read(dir .. "/old")
  local info = here:stat(dir .. "/old")
  local names = here:glob(dir .. "/*.txt")
  here:upload(dir .. "/tree", dir .. "/copy")
  here:download(dir .. "/a.txt", dir .. "/down.txt")
  tutti.copy({ here, dir .. "/b.txt" }, { here, dir .. "/copied.txt" })
  here:remove(dir .. "/a.txt")
  here:remove(dir .. "/gone", { recursive = true })
  here:write("/dev/null", "nothing") -- in place: a device is not replaced
  local link = here:stat(dir .. "/copy/x/.hidden/link", { follow = false })
  local device = here:stat "/dev/null"
  return function()
    fault.claim(fault.read(dir .. "/old") == "new" and data == "new", "write or read gave other bytes")
    fault.claim(info and info.size == 3, "stat is wrong")
    fault.claim(#names == 2, "glob did not find both files")
    fault.claim(fault.read(dir .. "/copy/x/.hidden/file") == "deep", "a tree did not arrive")
    fault.claim(link and link.target == "file", "a symlink did not arrive as one")
    fault.claim(not fault.read(dir .. "/gone/x/.hidden/file"), "a removed tree is still there")
    fault.claim(device and device.type == "other", "a device was replaced")
    fault.claim(fault.read(dir .. "/down.txt") == "a", "a download did not arrive")
    fault.claim(fault.read(dir .. "/copied.txt") == "b", "a copy did not arrive")
    fault.claim(fault.read(dir .. "/a.txt") == nil, "a removed file is still there")
  end
end)
