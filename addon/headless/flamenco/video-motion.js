// SPDX-License-Identifier: GPL-3.0-or-later

// A job type for Flamenco 3: one task for each video, which runs `batch.py` in the workers' Blender.

const JOB_TYPE = {
    label: "Video Motion",
    description: "Turn videos into animated characters, a task for each video",
    settings: [
        {
            key: "videos",
            type: "string",
            required: true,
            description: "Videos, separated by ; as every worker finds them",
        },
        {
            key: "out",
            type: "string",
            subtype: "dir_path",
            required: true,
            description: "Folder of the results",
        },
        {
            key: "batch",
            type: "string",
            subtype: "file_path",
            required: true,
            description: "addon/batch.py of Video Motion, as every worker finds it",
        },
        {
            key: "format",
            type: "string",
            default: "blend",
            description: "What to write, separated by commas: blend, fbx, glb, usd, bvh, amass",
        },
        {
            key: "options",
            type: "string",
            default: "",
            description: "Further arguments of batch.py, separated by spaces; a file name in them must not hold any",
        },
    ],
};

function compileJob(job) {
    const settings = job.settings;
    const more = split(settings.options || "", " ");
    for (const video of split(settings.videos, ";")) {
        const task = author.Task(video.split(/[\\/]/).pop(), "blender");
        task.addCommand(
            author.Command("exec", {
                exe: "{blender}",
                args: ["--background", "--python-exit-code", "1", "--python", settings.batch, "--", video].concat(
                    // A task that runs again, here or elsewhere, does not repeat what is done.
                    ["--out", settings.out, "--format", settings.format, "--resume"],
                    more
                ),
            })
        );
        job.addTask(task);
    }
}

function split(text, mark) {
    return text
        .split(mark)
        .map((word) => word.trim())
        .filter((word) => word.length > 0);
}
