#!/bin/sh
# Runs inside an image that is being built: installs the steering program with the libraries that are named, tries each.
# Usage: install.sh "nevergrad skopt optuna"
set -eu
here=$(cd "$(dirname "$0")" && pwd)
libraries=$1
target=/opt/hyperpilot-steering

# Proxy, package index and certificates of the place where the image is built; not kept in the image.
if [ -f "$here/build-settings/environment.sh" ]; then
  . "$here/build-settings/environment.sh"
fi

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || ! python3 -m pip --version >/dev/null; then
  echo "error: the base image needs python3, 3.10 or newer, with pip" >&2
  exit 1
fi

mkdir -p "$target" /srv/workDir
cp -R "$here/hyperpilot_steering" "$here/launch.py" "$target/"
requirements=
for library in $libraries; do
  requirements="$requirements --requirement $here/requirements/$library.txt"
done
# Wheels only: nothing is compiled, no compiler is needed. To a folder of their own, so that Debian's Python takes them too.
# shellcheck disable=SC2086
python3 -m pip install --quiet --no-cache-dir --disable-pip-version-check --root-user-action ignore --only-binary :all: \
  --constraint "$here/requirements/constraints.txt" $requirements --target "$target/packages"
# A quarter of the size, and never imported.
find "$target/packages" -type d \( -name tests -o -name test \) -prune -exec rm -rf {} +

cat >/usr/local/bin/hpogrid <<'END'
#!/bin/sh
exec python3 -I /opt/hyperpilot-steering/launch.py "$@"
END
chmod 755 /usr/local/bin/hpogrid
chmod -R go+rX "$target"
python3 -m compileall -q "$target/hyperpilot_steering"

echo '{"x": {"method": "uniform", "dimension": {"low": 0, "high": 1}}}' >/tmp/space.json
echo '{"points": [[{"x": 0.5}, 1.0], [{"x": 0.25}, 0.5], [{"x": 0.1}, null]]}' >/tmp/points.json
for library in $libraries; do
  hpogrid generate -l "$library" -n 2 -m 10 -s /tmp/space.json -i /tmp/points.json -o /tmp/proposed.json
  echo "$library proposes $(cat /tmp/proposed.json)"
done
rm /tmp/space.json /tmp/points.json /tmp/proposed.json
