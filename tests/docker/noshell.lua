-- Files of an image that has no shell: by the daemon's archive API.
local t = require "spec"
require "_docker"
local tutti = require "tutti"

t.describe("files without a shell", function()
  local function env()
    return tutti.docker { image = "noshell:local" }
  end
  t.it("are written and read exactly", function()
    local there = env()
    for _, name in ipairs { "/plain", "/with space", "/$(id)", "/a'b\"c", "/-n", "/日本語", "/.dot" } do
      there:write(name, "x\0\255\r\n" .. name)
      t.eq(there:read(name), "x\0\255\r\n" .. name)
      t.eq(there:run { "/cat", name }.stdout, "x\0\255\r\n" .. name)
    end
    there:write("/empty", "")
    t.eq(there:read "/empty", "")
    local big = ("0123456789abcdef"):rep(327680)
    there:write("/big", big)
    t.ok(there:read "/big" == big)
  end, { timeout = 120 })
  t.it("have modes, sizes and kinds", function()
    local there = env()
    there:write("/f", "12345", { mode = 448 })
    local s = there:stat "/f"
    t.eq({ s.type, s.size, s.mode }, { "file", 5, 448 })
    there:write("/f", "6")
    t.eq({ there:stat("/f").mode, there:read "/f" }, { 448, "6" })
    t.eq(there:stat("/").type, "directory")
    t.eq(there:stat "/no", nil)
  end)
  t.it("that are missing, and what cannot be done, is said", function()
    local there = env()
    t.raises("not_found", function() there:read "/no" end)
    t.raises("not_found", function() there:write("/no/f", "x") end)
    t.raises(nil, function() there:read "/" end)
    there:write("/f", "x")
    t.raises("unsupported", function() there:remove "/f" end)
    t.raises("not_found", function() tutti.docker("no-such-container"):stat "/f" end)
    t.raises("not_found", function() tutti.docker("no-such-container"):read "/f" end)
  end)
  t.it("a tree goes up and comes down identical", function()
    local there, here = env(), t.tmpdir()
    tutti.here:run { cwd = here, sh = [[mkdir -p t/sub/empty t/.dot; cd t; printf 'a\0b' >sub/f; echo dot >.dot/.f
      chmod 750 sub; chmod 601 sub/f; ln -s sub/f link; ln -s /no/where dangling]] }
    there:upload(here .. "/t", "/t")
    there:download("/t", here .. "/back")
    local function list(path)
      return tutti.here:run { cwd = path, sh = [[find . | sort | while IFS= read -r f; do
        stat -c '%n %F %a %N' "$f"; [ -f "$f" ] && [ ! -L "$f" ] && cksum <"$f"; done; true]] }.stdout
    end
    t.eq(list(here .. "/back"), list(here .. "/t"))
    t.eq(there:read "/t/link", "a\0b")
    t.eq(there:glob "/t/**/f", { "/t/sub/f" })
  end, { timeout = 120 })
end)

t.done()
