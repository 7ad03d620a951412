"""The Gradio front end of Unnoise."""

import inspect


def _without_interface_files() -> None:
    """Keep Gradio from rewriting a .pyi file for every component class at every start.

    It parses two files and compiles a template a class, 70 times: a third of its import. A class
    whose source file cannot be found is passed over, so let it find none. This stands here since
    every module of `app` runs it before it imports gradio.
    """
    find = inspect.getfile

    def getfile(thing: object) -> str:
        if type(thing).__name__ == "ComponentMeta":
            raise OSError("the source of a Gradio component is not needed")
        return find(thing)

    inspect.getfile = getfile


_without_interface_files()
