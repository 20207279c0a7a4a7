"""How `jupyter nbconvert` runs and saves the notebooks: the same bytes every time."""

from pathlib import Path

from nbconvert.preprocessors import Preprocessor

WIDGET = "application/vnd.jupyter.widget-view+json"


class SameBytes(Preprocessor):
    """Evens out what differs from run to run.

    Views of widgets that are gone are left out, as are versions; pieces of printed text, which
    arrive in one or several parts depending on time, are joined.
    """

    def preprocess(self, notebook, resources):
        for cell in notebook.cells:
            if cell.cell_type == "code":
                for output in cell.outputs:
                    output.get("data", {}).pop(WIDGET, None)
                cell.outputs = joined(o for o in cell.outputs if o.get("data") != {})
        notebook.metadata = {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
        return notebook, resources


def joined(outputs):
    whole = []
    for output in outputs:
        if whole and output.get("name") and output.get("name") == whole[-1].get("name"):
            whole[-1].text += output.text
        else:
            whole.append(output)
    return whole


c = get_config()  # noqa: F821 (the name is given by Jupyter)
c.Exporter.preprocessors = [SameBytes]
c.HTMLExporter.embed_images = True
c.HTMLExporter.template_file = str(Path(__file__).with_name("page.html.j2"))
c.ExecutePreprocessor.timeout = 600
c.ExecutePreprocessor.record_timing = False
c.ExecutePreprocessor.store_widget_state = False
c.KernelManager.transport_encryption = "auto"
