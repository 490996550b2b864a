{{- define "toml.adapters" -}}
{{- $discord := .spec.discord -}}
{{- include "ids.refuseMangled" (dict "field" "discord.allowedChannels" "ids" $discord.allowedChannels) -}}
{{- include "ids.refuseMangled" (dict "field" "discord.allowedUsers" "ids" $discord.allowedUsers) -}}
[discord]
bot_token = "${DISCORD_BOT_TOKEN}"
allowed_channels = {{ $discord.allowedChannels | default list | toJson }}
allowed_users = {{ $discord.allowedUsers | default list | toJson }}
{{- end }}
