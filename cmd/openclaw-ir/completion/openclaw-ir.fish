# fish completion for openclaw-ir: openclaw-ir completion fish | source
function __openclaw_ir_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l found ($words[1] __complete -- $words[2..-1] "$current" 2>/dev/null)
    for line in $found
        switch $line
            case :none
            case :files
                __fish_complete_path "$current"
            case :dirs
                __fish_complete_directories "$current"
            case '*'
                printf '%s\n' $line
        end
    end
end
complete -c openclaw-ir -f -a '(__openclaw_ir_complete)'
