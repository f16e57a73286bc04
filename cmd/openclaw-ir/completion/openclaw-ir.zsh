#compdef openclaw-ir
# zsh completion for openclaw-ir: source <(openclaw-ir completion zsh), or a file _openclaw-ir in a directory of $fpath
_openclaw-ir() {
	local -a found
	local line value also=:none
	while IFS= read -r line; do
		value=${line%%$'\t'*}
		case $value in
			:none|:files|:dirs) also=$value ;;
			*) found+=("${value//:/\\:}:${line#*$'\t'}") ;;
		esac
	done < <("${(Q)words[1]/#\~/$HOME}" __complete -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)
	(( $#found )) && _describe -t values 'openclaw-ir' found
	case $also in
		:files) _files ;;
		:dirs) _files -/ ;;
	esac
}
if [ "$funcstack[1]" = _openclaw-ir ]; then
	_openclaw-ir "$@"
else
	compdef _openclaw-ir openclaw-ir
fi
