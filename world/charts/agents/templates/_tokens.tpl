{{/* Tokens that the values carry: a JSON list of {env, key, value}. Secret and container are both made from it. */}}
{{- define "agent.tokens" -}}
{{- $tokens := list -}}
{{- with .spec.discord.botToken -}}
{{- $tokens = append $tokens (dict "env" "DISCORD_BOT_TOKEN" "key" "discord-bot-token" "value" .) -}}
{{- end -}}
{{ toJson $tokens }}
{{- end }}
