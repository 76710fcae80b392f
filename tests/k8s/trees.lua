-- Whole folders to a pod and back: in one stream where the pod has tar, file by file where it has none,
-- and the same either way.
local t = require "spec"
local kube = require "_kube"
local tutti = require "tutti"
local k8s = tutti.k8s
local here = tutti.here

local function make(path)
  here:run { sh = [[mkdir "$P"; cd "$P"; mkdir -p sub/empty .dot 'sp ace' shut
    printf 'a\0b' >sub/f; echo dot >.dot/.f; echo x >'sp ace/$(id)'; echo y >"it's"; echo z >'-rf'; : >none
    nl='new
line'; echo n >"$nl"; mkdir "dir $nl"; echo b >'back\slash'; echo 1 >"$(printf '\377\376')"; echo 8 >日本
    head -c 3000000 /dev/urandom >big; ln sub/f twin
    ln -s sub/f link; ln -s /no/where dangling; ln -s ../.. up; echo s >shut/f
    chmod 601 sub/f; chmod 4755 none; chmod 750 sub; chmod 500 shut; chmod 711 .]], env = { P = path } }
end

local function list(path)
  return here:run { cwd = path, sh = [[find . | LC_ALL=C sort | while IFS= read -r f; do
    stat -c '%n %F %a %N' "$f" 2>&1; [ -f "$f" ] && [ ! -L "$f" ] && cksum <"$f"; done; true]] }.stdout
end

local function temporaries(env)
  return env:run("ls -A /tmp | grep -c 'tutti-' || true").stdout
end

local function both_ways(env)
  local dir = t.tmpdir()
  make(dir .. "/t")
  t.cleanup(function() here:run { "chmod", "-R", "u+w", dir } end)
  env:upload(dir .. "/t", "/tmp/fresh/t")
  env:download("/tmp/fresh/t", dir .. "/deep/back")
  t.eq(list(dir .. "/deep/back"), list(dir .. "/t"))
  -- into what is there already
  env:run "rm /tmp/fresh/t/sub/f; echo kept >/tmp/fresh/t/sub/more; echo other >/tmp/fresh/t/none"
  env:upload(dir .. "/t", "/tmp/fresh/t")
  t.eq(env:read "/tmp/fresh/t/sub/more", "kept\n")
  env:remove "/tmp/fresh/t/sub/more"
  env:download("/tmp/fresh/t", dir .. "/again")
  env:download("/tmp/fresh/t", dir .. "/again")
  t.eq(list(dir .. "/again"), list(dir .. "/t"))
  -- what a link at the top leads to; nothing at all
  env:run "ln -s fresh/t /tmp/to"
  env:download("/tmp/to", dir .. "/through")
  t.eq(list(dir .. "/through"), list(dir .. "/t"))
  here:run { "mkdir", dir .. "/nothing" }
  env:upload(dir .. "/nothing", "/tmp/nothing")
  t.eq(env:stat("/tmp/nothing").type, "directory")
  -- what cannot be copied is said
  env:run "mkfifo /tmp/fresh/t/fifo"
  t.raises("unsupported", function() env:download("/tmp/fresh/t", dir .. "/fifo") end)
  t.raises("not_found", function() env:download("/tmp/missing", dir .. "/missing") end)
  t.eq(temporaries(env), "0\n")
  t.eq(here:run { sh = "ls -A | grep -c tutti- || true", cwd = dir }.stdout, "0\n")
end

-- A pod whose tar is a program like others: busybox's own shell finds its own in any case. This machine's
-- shell and libraries are put in.
local function pod_with_dash()
  local name = kube.name "dash"
  local function folder(path) return { name = path:match "[^/]+$", hostPath = { path = path, type = "Directory" } } end
  k8s.apply({ apiVersion = "v1", kind = "Pod", metadata = { name = name }, spec = {
    terminationGracePeriodSeconds = 0, volumes = { folder "/usr/lib", folder "/usr/lib64" },
    containers = { { name = "main", image = "box:local", command = { "/bin/sh", "-c", "exec sleep 1000000" },
      volumeMounts = { { name = "lib", mountPath = "/lib", readOnly = true },
        { name = "lib64", mountPath = "/lib64", readOnly = true } } } },
  } }, kube.with())
  t.cleanup(function() k8s.delete("pod/" .. name, kube.with { missing_ok = true, grace = 0 }) end)
  local env = k8s(kube.with { pod = name })
  kube.eventually(function() return env:try "true".ok end, "the pod runs")
  env:upload("/bin/dash", "/bin/dash")
  env:run "chmod 755 /bin/dash; ln -sf dash /bin/sh"
  t.eq(env:run "readlink /proc/$$/exe".stdout:match "[^/]+$", "dash\n")
  return k8s(kube.with { pod = name, container = "main" }) -- with no shell of before
end

t.describe("a folder", function()
  t.it("goes by tar, with all that is in it", function()
    both_ways(k8s(kube.with { pod = kube.pod() }))
  end, { timeout = 120 })
  t.it("goes without tar, the same", function()
    local env = pod_with_dash()
    env:run "rm /bin/tar; ! command -v tar"
    both_ways(env)
  end, { timeout = 120 })
  t.it("of a thousand files comes down without tar and with it", function()
    local env, dir = pod_with_dash(), t.tmpdir()
    here:run { sh = "mkdir t; for i in $(seq 1000); do echo $i >t/$i; done", cwd = dir }
    env:upload(dir .. "/t", "/tmp/by-tar")
    env:run "rm /bin/tar"
    env:download("/tmp/by-tar", dir .. "/back")
    env:run "ln -s busybox /bin/tar"
    env:download("/tmp/by-tar", dir .. "/tar")
    t.eq(list(dir .. "/back"), list(dir .. "/t"))
    t.eq(list(dir .. "/tar"), list(dir .. "/t"))
  end, { timeout = 120 })
  t.it("that is given up on the way leaves nothing", function()
    local env, dir = k8s(kube.with { pod = kube.pod() }), t.tmpdir()
    here:run { sh = "mkdir t; for i in 1 2 3 4 5 6 7 8; do head -c 30000000 /dev/urandom >t/$i; done", cwd = dir }
    env:run "true"
    t.raises("timeout", function()
      tutti.timeout("700ms", function() env:upload(dir .. "/t", "/tmp/t") end)
    end)
    t.eq(env:stat "/tmp/t", nil)
    kube.eventually(function() return temporaries(env) == "0\n" end, "no temporary is left")
  end, { timeout = 120 })
  t.it("cannot lead out of its place, whatever the pod's tar says", function()
    local env, dir = pod_with_dash(), t.tmpdir()
    here:run { cwd = dir, "python3", "-c", [[
import io, tarfile
def add(out, name, data=b"evil", kind=tarfile.REGTYPE, to=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, to, len(data) if kind == tarfile.REGTYPE else 0
    out.addfile(info, io.BytesIO(data))
for i, entries in enumerate([
    [("../evil",)], [("/tmp/evil-of-tutti",)], [("a/../../evil",)],
    [("x", b"", tarfile.SYMTYPE, ".."), ("x/evil",)],
    [("x", b"", tarfile.SYMTYPE, "../evil"), ("x",)],
    [("x", b"", tarfile.LNKTYPE, "../secret")],
]):
    with tarfile.open("%d.tar" % i, "w") as out:
        for entry in entries: add(out, *entry)]] }
    t.write(dir .. "/secret", "secret")
    env:run [[mkdir /tmp/t; echo right >/tmp/t/f; rm /bin/tar
      printf '#!/bin/sh\ncat /tmp/said; echo run >>/tmp/runs' >/bin/tar; chmod 755 /bin/tar]]
    for i = 0, 5 do
      env:upload(dir .. "/" .. i .. ".tar", "/tmp/said")
      env:download("/tmp/t", dir .. "/to/" .. i)
      t.eq(t.slurp(dir .. "/to/" .. i .. "/f"), "right\n")
      t.eq(here:run { sh = "ls to/" .. i, cwd = dir }.stdout, "f\n")
    end
    t.eq(env:read "/tmp/runs", ("run\n"):rep(6))
    t.no(t.exists(dir .. "/evil") or t.exists(dir .. "/to/evil") or t.exists "/tmp/evil-of-tutti")
  end, { timeout = 120 })
end)

t.done()
