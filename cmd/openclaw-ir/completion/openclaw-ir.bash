# bash completion for openclaw-ir: source <(openclaw-ir completion bash)
_openclaw_ir() {
	local cur=${COMP_WORDS[COMP_CWORD]} value rest
	COMPREPLY=()
	[ "$cur" = '=' ] && cur=''
	while IFS=$'\t' read -r value rest; do
		case $value in
		:files) compopt -o default 2>/dev/null ;;
		:dirs) compopt -o dirnames 2>/dev/null ;;
		:none) compopt +o default 2>/dev/null ;;
		*) COMPREPLY+=("$value") ;;
		esac
	done < <("${COMP_WORDS[0]/#\~/$HOME}" __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _openclaw_ir openclaw-ir
