#!/bin/sh
while read -r line; do
  [ -n "$line" ] || continue
  printf '%s\n' "$line" >> "$0.heard"
  id=$(printf '%s' "$line" | sed -n 's/.*"id":"\([^"]*\)","jsonrpc".*/\1/p')
  reply='"result":{}'
  case "$line" in
    *'"method":"getmanifest"'*) reply='"result":{"options":[
      {"name":"spyall-str","type":"string","default":"dflt","description":"","dynamic":true},
      {"name":"spyall-int","type":"int","default":5,"description":"","dynamic":true},
      {"name":"spyall-bool","type":"bool","default":false,"description":"","dynamic":true},
      {"name":"spyall-flag","type":"flag","default":false,"description":""},
      {"name":"spyall-multi","type":"string","multi":true,"description":""},
      {"name":"spyall-noval","type":"string","description":"","dynamic":true},
      {"name":"spyall-noint","type":"int","description":""},
      {"name":"spyall-fixed","type":"string","default":"fixed","description":""}],
      "rpcmethods":[{"name":"spyall-echo","usage":"[a] [b]","description":""},{"name":"spyall-err","usage":"","description":""},
      {"name":"spyall-crash","usage":"","description":""}],
      "subscriptions":["forward_event","channel_state_changed","connect","disconnect","shutdown","plugin_started"],
      "hooks":[],"dynamic":true,"nonnumericids":true}' ;;
    *'"val":"bad"'*) reply='"error":{"code":-32602,"message":"spy refuses '"'bad'"'"}' ;;
    *'"method":"spyall-err"'*) reply='"error":{"code":4242,"message":"spy error","data":{"why":"asked"}}' ;;
    *'"method":"spyall-crash"'*) exit 1 ;;
    *'"method":"shutdown"'*) exit 0 ;;
  esac
  [ -z "$id" ] || printf '{"jsonrpc":"2.0","id":"%s",%s}\n\n' "$id" "$reply"
done
