// What the server serves under this path is the module of the package, as it is.
import uPlot from 'uplot'

export default uPlot
