# Kills all processes of the folder that this script is in, then removes the folder.
{
    folder=$(dirname "$0")
    # A process registers itself by making a file in pids/; from here on that fails, and it does not start.
    mv "$folder/pids" "$folder/ended"
    for pid in "$folder"/ended/*; do
        kill -s KILL -- "-${pid##*/}"
    done
    # What was killed may still be writing.
    tries=100
    until rm -rf "$folder" || [ $((tries -= 1)) -eq 0 ]; do
        sleep 0.1
    done
    exit
} 2>/dev/null
