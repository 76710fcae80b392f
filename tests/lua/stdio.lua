-- io and os that wait: standard input, io.popen, os.execute.
local t = require "spec"

-- The same program with the same input under tutti and under lua5.4: equal stdout.
local function same(source, input)
  local path = t.write(t.tmpdir() .. "/p.lua", source)
  local ours = t.tutti { "run", path, stdin = input }
  local theirs = require "tutti".here:run { "lua5.4", path, stdin = input or "" }
  t.eq(ours.stdout, theirs.stdout)
  t.ok(ours.ok, ours.stderr)
  return ours
end

t.describe("standard input", function()
  t.it("is read by formats as Lua does", function()
    same([[
      print(io.read()) print(io.read("n", "l")) print(io.read(3)) print(io.read "L") print(io.read(0))
      for l in io.lines() do io.write("[", l, "]") end print(io.read(), io.read(0), io.read "a", io.read "a")
    ]], "first\n 0x1F rest\nabcdefg\nx\n\ny\nlast")
    same("print(io.read('n','n','n','n','n'))", " 12 -3.5e2 0x.8p1 +7 abc")
    same("print(io.read('n', 'a'))", "nan 5")
    same("print(#io.read 'a', io.read 'l')", ("x"):rep(300000))
    same("print(io.read(5, 5, 100))", "1234567")
    same("print(io.stdin:read 'l', io.stdin:read '*a')", "a\r\nb\0c")
    same("for a, b in io.stdin:lines(1, 'l') do print(a, b) end", "ab\ncd\n")
    same("print(io.read 'a', io.read 'n', io.read(1))", "")
  end)
  t.it("does not stop others", function()
    local path = t.write(t.tmpdir() .. "/p.lua", [[
      local tutti = require "tutti"
      tutti.race { function() io.read "a" end, function() tutti.sleep "50ms" end }
      print "went on"
    ]])
    local p = require "tutti".here:spawn { os.getenv "TUTTI", "run", path }
    t.eq(p:lines()(), "went on")
    t.ok(p:wait().ok)
  end)
  t.it("one reader at a time", function()
    local path = t.write(t.tmpdir() .. "/p.lua", [[
      local tutti = require "tutti"
      local h = tutti.spawn(function() return io.read() end)
      tutti.sleep "20ms"
      local ok, e = pcall(io.read)
      print(ok, e.kind)
      h:cancel()
    ]])
    local p = require "tutti".here:spawn { os.getenv "TUTTI", "run", path }
    t.eq(p:lines()(), "false\tinvalid")
    t.ok(p:wait().ok)
  end)
  t.it("io.input, io.lines and io.type know both kinds of files", function()
    local file = t.write(t.tmpdir() .. "/f", "one\ntwo\n")
    same(([[
      print(io.type(io.stdin), io.type(io.stdout), io.type(5), io.input() == io.stdin)
      for l in io.lines(%q) do io.write(l, ";") end
      io.input(%q) print(io.read(), io.read "n", io.read "a") io.close(io.input())
      io.input(io.stdin) print(io.read())
      print(pcall(io.lines, "/no/such"))
    ]]):format(file, file), "in\n")
  end)
end)

t.describe("io.popen", function()
  t.it("reads", function()
    same [[local p = io.popen "seq 3; exit 4" print(p:read "n", p:read "a", p:close()) print(io.type(p))]]
    same [[for l in io.popen("printf 'a\nb'"):lines() do print(l) end]]
    same [[local p = io.popen "cat" print(p:read(), p:write "x" == nil, p:close())]]
  end)
  t.it("writes", function()
    same [[local p = io.popen("cat; exit 2", "w") print(p:write("a", 5, "\n") == p, p:flush() ~= nil, p:close())]]
    same [[print((pcall(io.popen, "true", "x")))]]
  end)
  t.it("broken off, ends the command", function()
    local r = same [[for l in io.popen "yes":lines() do print(l) break end]]
    t.eq(r.stdout, "y\n")
    same [[local p = io.popen "yes" print(p:read()) print((p:close()))]]
  end)
  t.it("a closed one is refused", function()
    local _, e = pcall(function() local p = io.popen "true" p:close() p:read() end)
    t.match(e, "closed file")
  end)
end)

t.describe("os.execute", function()
  t.it("gives the standard results", function()
    same [[
      print(os.execute()) print(os.execute "true") print(os.execute "exit 3") print(os.execute "kill -9 $$")
    ]]
    local path = t.write(t.tmpdir() .. "/p.lua", [[io.write "before " os.execute "echo after; echo err >&2"]])
    local r = t.tutti { "run", path }
    t.eq({ r.stdout, r.stderr }, { "before after\n", "err\n" })
  end)
  t.it("does not stop others", function()
    local dir = t.tmpdir()
    local path = t.write(dir .. "/p.lua", [[
      local tutti = require "tutti"
      local function meet(own, other) return ("touch %s; until [ -e %s ]; do sleep 0.01; done"):format(own, other) end
      tutti.all { function() os.execute(meet("a", "b")) end, function() io.popen(meet("b", "a")):read "a" end }
      print "met"
    ]])
    t.eq(t.tutti({ "run", path, cwd = dir }).stdout, "met\n")
  end)
end)

t.done()
