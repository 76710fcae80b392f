-- tutti.json: exact numbers, lists and objects, what is refused.
local t = require "spec"
local tutti = require "tutti"
local json = tutti.json

t.describe("json", function()
  t.it("keeps integers and floats apart, exactly", function()
    local v = json.decode "[9007199254740993, -9223372036854775808, 3.0, 1e2, 0.1]"
    t.eq({ v[1], v[2], math.type(v[3]), v[4], v[5] }, { 9007199254740993, math.mininteger, "float", 100.0, 0.1 })
    t.eq(json.encode { 9007199254740993, 3.0, 0.1, math.mininteger }, "[9007199254740993,3.0,0.1,-9223372036854775808]")
  end)
  t.it("tells [] from {}", function()
    t.eq(json.encode {}, "{}")
    t.eq(json.encode(json.array {}), "[]")
    t.eq(json.encode(json.array()), "[]")
    t.eq(json.encode(json.decode '{"a":[],"b":{}}'), '{"a":[],"b":{}}')
  end)
  t.it("null is a value inside, nil at the top", function()
    local v = json.decode '{"a":null}'
    t.ok(v.a == json.null)
    t.eq(json.encode(v), '{"a":null}')
    t.eq(json.decode "null", nil)
    t.eq(json.encode(nil), "null")
    t.eq(json.encode(json.null), "null")
  end)
  t.it("writes members in the order of their names, and indents", function()
    t.eq(json.encode { b = 1, a = { 1, "x" }, c = true }, '{"a":[1,"x"],"b":1,"c":true}')
    t.eq(json.encode({ a = 1 }, { indent = 2 }), '{\n  "a": 1\n}')
  end)
  t.it("keeps bytes of strings", function()
    local s = "\0\1\31\127 \"\\/ é 日 😀"
    t.eq(json.decode(json.encode(s)), s)
    t.eq(json.decode [["\u0000\ud83d\ude00"]], "\0😀")
  end)
  t.it("refuses what JSON has no form for, naming the place", function()
    local function refuses(pattern, value)
      t.match(t.raises("invalid", json.encode, value).message, pattern)
    end
    refuses("the value%.a%[2%]%.f is a function", { a = { 1, { f = print } } })
    refuses("is a thread", { coroutine.create(print) })
    refuses("is a FILE", { io.stdout })
    refuses("the value%[1%] is not a finite number", { 0 / 0 })
    refuses("not a finite", { math.huge })
    refuses("%.s is a string that is not UTF%-8", { s = "\255" })
    refuses("both list items and named fields", { 1, a = 2 })
    refuses("neither text nor a place", { [1.5] = 1 })
    refuses("neither text nor a place", { [true] = 1 })
    refuses("neither text nor a place", { [3] = 1 })
    refuses("neither text nor a place", { ["a\0b"] = 1 })
    local loop = {}
    loop.x = { loop }
    refuses("the value%.x%[1%] contains itself", loop)
    local deep = {}
    for _ = 1, 200 do deep = { deep } end
    refuses("nested too deeply", deep)
  end)
  t.it("one table in two places is no cycle", function()
    local shared = { 1 }
    t.eq(json.encode { shared, shared }, "[[1],[1]]")
  end)
  t.it("refuses broken text, saying where", function()
    for _, text in ipairs { "", "{", "[1,]", "{'a':1}", "01", "NaN", "[1] 2", '{"a":1,"a":2}', '"\255"',
      "9223372036854775808", ("["):rep(100000) } do
      local e = t.raises("invalid", json.decode, text)
      t.match(e.message, "json%.decode")
    end
    t.match(t.raises("invalid", json.decode, "[1,\n x]").message, "line 2")
    t.raises("invalid", json.decode, 5)
    t.raises("invalid", json.encode, 1, { indnet = 2 })
  end)
  t.it("cjson is there too", function()
    t.eq(require "cjson".encode { 1 }, "[1]")
    t.eq(select(2, require "cjson.safe".decode "{"):find "Expected" ~= nil, true)
  end)
end)

t.done()
