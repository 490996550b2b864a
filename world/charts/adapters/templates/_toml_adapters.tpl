{{/* An adapter has a section only if it is enabled in so many words. */}}
{{- define "toml.adapters" -}}
{{- if (.spec.discord).enabled -}}
[discord]
bot_token = "${DISCORD_BOT_TOKEN}"
{{ include "toml.audience" (dict "field" "discord" "adapter" .spec.discord) }}
{{- end }}
{{- if (.spec.slack).enabled }}

[slack]
bot_token = "${SLACK_BOT_TOKEN}"
app_token = "${SLACK_APP_TOKEN}"
{{ include "toml.audience" (dict "field" "slack" "adapter" .spec.slack) }}
{{- end }}
{{- end }}

{{/* Who may talk to the bot: what discord and slack have in common. */}}
{{- define "toml.audience" -}}
{{- $adapter := .adapter -}}
{{- range $list := list "allowedChannels" "allowedUsers" "trustedBotIds" -}}
{{- include "ids.refuseMangled" (dict "field" (printf "%s.%s" $.field $list) "ids" (get $adapter $list)) -}}
{{- end -}}
{{- range $what := list "channels" "users" -}}
{{- $ids := get $adapter (printf "allowed%s" (title $what)) | default list -}}
{{- $explicit := get $adapter (printf "allowAll%s" (title $what)) -}}
allow_all_{{ $what }} = {{ kindIs "bool" $explicit | ternary $explicit (empty $ids) }}
allowed_{{ $what }} = {{ $ids | toJson }}
{{ end -}}
{{- with $adapter.trustedBotIds -}}
trusted_bot_ids = {{ toJson . }}
{{ end -}}
{{- range $setting := list "allowBotMessages" "allowUserMessages" -}}
{{- with get $adapter $setting -}}
{{ snakecase $setting }} = {{ toJson . }}
{{ end -}}
{{- end -}}
{{- if hasKey $adapter "allowDm" -}}
allow_dm = {{ $adapter.allowDm }}
{{ end -}}
{{- end }}
