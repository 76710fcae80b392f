-- A pod made from YAML: commands, input, a timeout, files, a forwarded port; a token from a file.
local fault = require "fault"
local tutti = require "tutti"
local k8s = tutti.k8s

-- The kubeconfig with the token in a file, so that this way is gone too.
local function with_token_file()
  local path = assert(os.getenv "KUBECONFIG")
  local text = fault.read(path)
  local token = text and text:match "token:%s*([%w._-]+)"
  if not token then
    return path
  end
  local out = assert(io.open(fault.dir() .. "/token", "w"))
  out:write(token)
  out:close()
  text = text:gsub("token:%s*[%w._-]+", function() return "tokenFile: " .. fault.dir() .. "/token" end)
  out = assert(io.open(fault.dir() .. "/config", "w"))
  out:write(text)
  out:close()
  return fault.dir() .. "/config"
end

fault.scenario(function()
  local where = { kubeconfig = with_token_file() }
  k8s.apply([[
apiVersion: v1
kind: Pod
metadata: { name: fault-box }
spec:
  terminationGracePeriodSeconds: 0
  containers: [{ name: main, image: "box:local", command: [/bin/sh, -c,
    "mkdir -p /www; echo served >/www/index.html; exec httpd -f -p 8080 -h /www"] }]
]], where)
  local env = k8s { kubeconfig = where.kubeconfig, pod = "fault-box" }
  local stop = tutti.now() + 20
  while k8s.get("pod/fault-box", where).status.phase ~= "Running" and tutti.now() < stop do
    tutti.sleep "100ms"
  end
  local wrote = env:run "printf 'one\\ntwo\\n'; printf err >&2"
  local code = env:try "exit 7"
  local echoed = env:run { "cat", stdin = ("0123456789"):rep(20000) }
  local slow = env:try { "sleep", "30", timeout = "300ms", grace = "200ms" }
  env:write("/tmp/a", "content")
  local read = env:read "/tmp/a"
  local forward <close> = k8s.forward(env, 8080, where)
  local served = tutti.here:try { "curl", "-fsS", "-m", "5", ("http://127.0.0.1:%d/"):format(forward.port) }
  return function()
    fault.claim(wrote.ok and wrote.stdout == "one\ntwo\n" and wrote.stderr == "err", "output is not what was written")
    fault.claim(not code.ok and (code.kind ~= "exit" or code.code == 7), "exit 7 was reported as something else")
    fault.claim(echoed.stdout == ("0123456789"):rep(20000), "input came back changed")
    fault.claim(not slow.ok, "a timeout was reported as success")
    fault.claim(read == "content", "a file's content changed")
    fault.claim(not served.ok or served.stdout == "served\n", "a forwarded port changed what it carried")
  end
end)
